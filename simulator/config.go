package simulator

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config describes the service plans of a Simulator and how badly its days go. The zero value of every member but Plans is usable.
type Config struct {
	// Plans are the service plans that exist: at least one.
	Plans []Plan
	// Seed decides every bad day, every fate and every id. The same seed, sends and faults give the same decisions,
	// however the goroutines run: each is a pure function of the seed, the plan, the batch's ordinal, the recipient and the attempt.
	Seed uint64
	// Calm switches all bad days off: every message is delivered and every call succeeds, unless a fate or a fault is set by hand.
	Calm bool
	// BadDays sets how often what goes wrong. It has no effect on a calm simulator.
	BadDays BadDays
	// Speed is how many times faster than in the world Sinch's own waits go by: till a batch's send_at, from there to its
	// expire_at, Pace, RetryUnit and BadDays.LateBy. 0 means 1, and it is at least that. All times told are real ones; see the package documentation.
	Speed float64
	// RequestsPerSecond is how many requests a plan may make before it is answered 429, with bursts of as many; 0 means no limit.
	RequestsPerSecond float64
	// RetryUnit is the gap before the first retry of a callback; 0 means 5 s. Retries come 1, 2, 4 … 2^14 units after the first
	// failure (5 s … 81 920 s); then the callback is given up.
	RetryUnit time.Duration
	// Pace is the time between two status changes of a recipient; 0 means 300 ms. On bad days it varies by half.
	Pace time.Duration
	// CallbackTimeout is how long a callback waits for its answer; 0 means 10 s.
	CallbackTimeout time.Duration
	// MaxCallbacksInFlight bounds the callbacks of one plan that wait for their answer at the same time; 0 means 32.
	MaxCallbacksInFlight int
	// KeepNonce signs every retry of a callback with the nonce of its first attempt. The timestamp is always new.
	KeepNonce bool
	// Transport carries the callbacks; nil means a transport of the simulator's own.
	Transport http.RoundTripper
	// Logger takes one line per call and per callback attempt, at debug level, and a warning per callback given up; nil means silence.
	Logger *slog.Logger
}

// Plan is one service plan: what the customer has set up at Sinch.
type Plan struct {
	ID    string
	Token string
	// CallbackURL is where reports of batches without a callback_url of their own go, and inbound messages. It may be empty
	// until SetCallbackURL knows it.
	CallbackURL string
	// Secret signs the callbacks (used as text, never base64-decoded). Empty: they are not signed.
	Secret string
	// CallbackHeader is sent with every callback: custom header values, or an Authorization of HTTP Basic.
	CallbackHeader http.Header
	// Groups maps the id of each group that exists from the start to the numbers of its members.
	Groups map[string][]string
	// Originators is the pool of senders that a batch without from is sent from. Without one such a batch is refused.
	Originators []string
	// SmartEncoding is the account feature that has recipient reports say how their message was encoded.
	SmartEncoding bool
}

// String names the plan without its token and secret.
func (p Plan) String() string { return "plan " + p.ID }

// LogValue names the plan without its token and secret.
func (p Plan) LogValue() slog.Value { return slog.StringValue(p.ID) }

const (
	defaultRetryUnit       = 5 * time.Second
	defaultPace            = 300 * time.Millisecond
	defaultCallbackTimeout = 10 * time.Second
	defaultInFlight        = 32

	maxRequestsPerSecond = 1_000_000
)

// resolve checks c and fills in its defaults.
func (c Config) resolve() (Config, error) {
	if len(c.Plans) == 0 {
		return c, errors.New("plans: at least one is needed")
	}
	seen := map[string]bool{}
	for i, p := range c.Plans {
		if err := p.validate(); err != nil {
			return c, fmt.Errorf("plans[%d]: %w", i, err)
		}
		if seen[p.ID] {
			return c, fmt.Errorf("plans[%d]: id %q is taken", i, p.ID)
		}
		seen[p.ID] = true
	}
	if c.Speed != 0 && !(c.Speed >= 1 && c.Speed <= math.MaxInt64) {
		return c, errors.New("speed must be at least 1, or 0 for 1")
	}
	if !(c.RequestsPerSecond >= 0 && c.RequestsPerSecond <= maxRequestsPerSecond) {
		return c, fmt.Errorf("requests per second must be between 0 and %d", maxRequestsPerSecond)
	}
	if c.RetryUnit < 0 || c.Pace < 0 || c.CallbackTimeout < 0 || c.MaxCallbacksInFlight < 0 {
		return c, errors.New("retry unit, pace, callback timeout and callbacks in flight must not be negative")
	}
	c.Speed = orDefault(c.Speed, 1)
	c.RetryUnit = orDefault(c.RetryUnit, defaultRetryUnit)
	c.Pace = orDefault(c.Pace, defaultPace)
	c.CallbackTimeout = orDefault(c.CallbackTimeout, defaultCallbackTimeout)
	c.MaxCallbacksInFlight = orDefault(c.MaxCallbacksInFlight, defaultInFlight)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if c.Calm {
		c.BadDays = BadDays{}
	} else if c.BadDays, err = c.BadDays.resolve(c.Pace); err != nil {
		return c, err
	}
	for _, wait := range []*time.Duration{&c.RetryUnit, &c.Pace, &c.BadDays.LateBy} {
		*wait = c.shorten(*wait)
	}
	return c, nil
}

// shorten is how long a wait of Sinch's own really takes.
func (c Config) shorten(wait time.Duration) time.Duration {
	return time.Duration(float64(wait) / c.Speed)
}

func (p Plan) validate() error {
	switch {
	case p.ID == "" || strings.ContainsAny(p.ID, "/?# "):
		return errors.New("id: one non-empty path segment is needed")
	case p.Token == "":
		return errors.New("token: must not be empty")
	case p.CallbackURL != "" && !isCallbackURL(p.CallbackURL):
		return errors.New("callback url: an absolute http or https URL of at most 2048 characters is needed")
	}
	for _, sender := range p.Originators {
		if sender == "" {
			return errors.New("originators: an empty sender")
		}
	}
	for id, members := range p.Groups {
		if _, isNumber := digits(id); isNumber || id == "" {
			return fmt.Errorf("group %q: an id must not look like a number", id)
		}
		for _, number := range members {
			if _, ok := digits(number); !ok {
				return fmt.Errorf("group %q: a member is not a number", id)
			}
		}
	}
	return nil
}

func isCallbackURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= 2048 && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
