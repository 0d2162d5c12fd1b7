package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/simulator/batches"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// Config configures a Simulator. Only Plans, the service plans (customer accounts at Sinch), is required. The zero
// value of any other field means its default.
type Config struct {
	// Plans are the service plans that exist: at least one.
	Plans []Plan
	// Seed decides every anomaly, every outcome and every id. The same seed, sends and faults give the same decisions,
	// whatever the order in which goroutines run: each decision is a pure function of the seed, the plan, the batch's
	// ordinal, the recipient and the attempt.
	Seed uint64
	// Calm disables all anomalies: every message is delivered and every call succeeds, except where SetOutcome or
	// SetFault says otherwise.
	Calm bool
	// Anomalies sets how often each anomaly occurs. Calm overrides it.
	Anomalies Anomalies
	// Replies is the probability that the recipient of a delivered message replies to its sender, whether or not Calm is
	// set. Each reply is an inbound message, called back to the plan's default URL. 0 means that nobody replies.
	Replies float64
	// Speed is the factor by which Sinch's own waiting times are shortened: the time until send_at, from there until
	// expire_at, Pace, RetryUnit and Anomalies.LateBy. It must be at least 1; 0 means 1. Times in answers and reports
	// are real times; see the package documentation.
	Speed float64
	// RequestsPerSecond is the request rate above which a plan is answered 429, and also the permitted burst. 0 means
	// no limit.
	RequestsPerSecond float64
	// RetryUnit is the delay before the first retry of a callback; 0 means 5 s. Retries are sent 1, 2, 4 … 2^14 units
	// after the first failure (5 s … 81 920 s); then the callback is given up.
	RetryUnit time.Duration
	// Pace is the time between two status changes of a recipient; 0 means 300 ms. Unless Calm is set, it varies by
	// ±50 %.
	Pace time.Duration
	// CallbackTimeout is how long one callback attempt waits for an answer; 0 means 10 s.
	CallbackTimeout time.Duration
	// MaxCallbacksInFlight limits the callbacks of one plan that wait for an answer at the same time; 0 means 32.
	MaxCallbacksInFlight int
	// KeepNonce signs every retry of a callback with the nonce of its first attempt. The timestamp is always new.
	KeepNonce bool
	// Transport sends the callbacks; nil means a new http.Transport that the Simulator owns.
	Transport http.RoundTripper
	// Logger receives one debug line per API call and per callback attempt, and a warning for each callback given up.
	// Nil disables logging.
	Logger *slog.Logger
}

// Anomalies sets the probability of each anomaly. An anomaly is an irregularity of a real network, such as a repeated
// or late callback. The zero value means the default probabilities.
type Anomalies = batches.Anomalies

// Outcome is the planned result of a message: its final status and code, and whether its callbacks are never sent. The
// zero value means Delivered.
type Outcome = batches.Outcome

// Plan is a service plan (a customer account at Sinch): its id, token, callback settings, groups and senders. ID and
// Token are required.
type Plan struct {
	ID    string
	Token string
	// CallbackURL receives inbound messages, and the reports of batches without a callback_url. It may be empty;
	// SetCallbackURL can set it later.
	CallbackURL string
	// Secret is the HMAC key of the callbacks, used as text and never base64-decoded. If empty, callbacks are not
	// signed.
	Secret string
	// CallbackHeader is added to every callback, for example custom headers or HTTP Basic credentials in
	// Authorization.
	CallbackHeader http.Header
	// Groups maps the id of each initial group to the numbers of its members.
	Groups map[string][]string
	// Originators is the pool of senders for batches without from. If it is empty, such a batch is refused.
	Originators []string
	// SmartEncoding is the account feature that adds the message's encoding to recipient reports.
	SmartEncoding bool
}

// String returns "plan " and the plan's id. It omits the token and the secret.
func (p Plan) String() string { return "plan " + p.ID }

// LogValue returns the plan's id, so that logs contain neither the token nor the secret.
func (p Plan) LogValue() slog.Value { return slog.StringValue(p.ID) }

const (
	defaultRetryUnit       = 5 * time.Second
	defaultPace            = 300 * time.Millisecond
	defaultCallbackTimeout = 10 * time.Second
	defaultInFlight        = 32

	maxRequestsPerSecond = 1_000_000
)

// resolve returns a copy of c with defaults set and the times RetryUnit, Pace and Anomalies.LateBy divided by Speed. It
// returns an error that names the field if c is invalid.
func (c Config) resolve() (Config, error) {
	if len(c.Plans) == 0 {
		return c, errors.New("plans: at least one plan is required")
	}
	seen := map[string]bool{}
	for i, p := range c.Plans {
		if err := p.validate(); err != nil {
			return c, fmt.Errorf("plans[%d]: %w", i, err)
		}
		if seen[p.ID] {
			return c, fmt.Errorf("plans[%d]: duplicate id %q", i, p.ID)
		}
		seen[p.ID] = true
	}
	if c.Speed != 0 && !(c.Speed >= 1 && c.Speed <= math.MaxInt64) {
		return c, errors.New("speed must be at least 1, or 0 for the default 1")
	}
	if !(c.Replies >= 0 && c.Replies <= 1) {
		return c, errors.New("replies must be between 0 and 1")
	}
	if !(c.RequestsPerSecond >= 0 && c.RequestsPerSecond <= maxRequestsPerSecond) {
		return c, fmt.Errorf("requests per second must be between 0 and %d", maxRequestsPerSecond)
	}
	if c.RetryUnit < 0 || c.Pace < 0 || c.CallbackTimeout < 0 || c.MaxCallbacksInFlight < 0 {
		return c, errors.New("retry unit, pace, callback timeout and callbacks in flight must not be negative")
	}
	c.Speed = cmp.Or(c.Speed, 1)
	c.RetryUnit = cmp.Or(c.RetryUnit, defaultRetryUnit)
	c.Pace = cmp.Or(c.Pace, defaultPace)
	c.CallbackTimeout = cmp.Or(c.CallbackTimeout, defaultCallbackTimeout)
	c.MaxCallbacksInFlight = cmp.Or(c.MaxCallbacksInFlight, defaultInFlight)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if c.Calm {
		c.Anomalies = Anomalies{}
	} else if c.Anomalies, err = c.Anomalies.Resolve(c.Pace); err != nil {
		return c, err
	}
	for _, wait := range []*time.Duration{&c.RetryUnit, &c.Pace, &c.Anomalies.LateBy} {
		*wait = time.Duration(float64(*wait) / c.Speed)
	}
	return c, nil
}

func (p Plan) validate() error {
	switch {
	case p.ID == "" || strings.ContainsAny(p.ID, "/?# "):
		return errors.New("id: must be one non-empty path segment")
	case p.Token == "":
		return errors.New("token: must not be empty")
	case p.CallbackURL != "" && !xms.IsCallbackURL(p.CallbackURL):
		return errors.New("callback url " + xms.CallbackURLRule)
	}
	for _, sender := range p.Originators {
		if sender == "" {
			return errors.New("originators: a sender must not be empty")
		}
	}
	for id, members := range p.Groups {
		if _, isNumber := xms.Digits(id); isNumber || id == "" {
			return fmt.Errorf("group %q: an id must not look like a number", id)
		}
		for _, number := range members {
			if _, ok := xms.Digits(number); !ok {
				return fmt.Errorf("group %q: every member must be a phone number", id)
			}
		}
	}
	return nil
}
