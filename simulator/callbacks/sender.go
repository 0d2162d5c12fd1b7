package callbacks

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/random"
	"github.com/dlrloop/dlrloop/simulator/schedule"
)

// maxDue limits how many due entries of the schedule Sender.Run handles without unlocking the mutex. If more are due,
// Run unlocks the mutex in between, so that other callers do not wait long.
const maxDue = 512

// Config configures a Sender. All fields except KeepNonce are required.
type Config struct {
	Random      random.Source
	Feed        *ledger.Feed
	Transport   http.RoundTripper
	Logger      *slog.Logger
	RetryUnit   time.Duration // delay before the first retry; later retries come after 2, 4 … 2^14 units
	Timeout     time.Duration // of one attempt
	MaxInFlight int           // callbacks of one account that wait for an answer at the same time
	RepeatAfter time.Duration // mean time between an acknowledgement and the repetition
	KeepNonce   bool          // every retry is signed with the nonce of the first attempt
}

// Sender sends callbacks over HTTP, with retries and rate limits, while Run runs. Create it with New. All methods are
// safe for concurrent use.
type Sender struct {
	config Config

	mu        sync.Mutex // guards the fields below, the accounts and everything they point to
	accounts  []*Account
	callbacks []*callback
	schedule  *schedule.Queue[work]
	counts    Counts
}

// work is an entry of the schedule. It holds either a callback to send, or a target: a URL whose rate limit allows a
// callback again. The other field is nil.
type work struct {
	callback *callback
	target   *target
}

// Counts counts the callbacks, in total and by result, and the HTTP requests that sent them.
type Counts struct {
	Callbacks    int
	Inbound      int // of them about inbound messages
	Acknowledged int
	GaveUp       int
	Lost         int
	Attempts     int
	InFlight     int // attempts that wait for an answer
	Unsettled    int // callbacks that will be sent, retried or repeated
}

// New returns a Sender without accounts. It sends callbacks only while Run runs.
func New(c Config) *Sender { return &Sender{config: c, schedule: schedule.NewQueue[work]()} }

// NewAccount adds an account, which sends the callbacks of one service plan to c.URL until SetURL is called, and
// returns it.
func (s *Sender) NewAccount(c AccountConfig) *Account {
	a := &Account{config: c, sender: s, targets: map[string]*target{}}
	a.defaultTarget = &target{account: a, url: c.URL}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts = append(s.accounts, a)
	return a
}

// Send schedules a callback with content m for the time due. An empty url means the account's default URL. If lost is
// true, Send only records the callback. anomaly names the irregularity that delays the callback, such as
// ledger.CallbackLate, or is empty. Send calls no observer, so the caller may hold locks.
func (s *Sender) Send(a *Account, url string, m Message, due time.Time, lost bool, anomaly ledger.EntryKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &callback{target: a.target(url), message: m, ordinal: len(s.callbacks) + 1, result: ledger.Pending}
	s.callbacks = append(s.callbacks, c)
	if m.Describe().Inbound != nil {
		s.counts.Inbound++
	}
	if lost {
		c.result = ledger.Lost
		s.counts.Lost++
		s.config.Feed.Add(c.entry(ledger.CallbackLost))
		return
	}
	s.counts.Unsettled++
	s.schedule.Add(due, work{callback: c})
	if anomaly != "" {
		s.config.Feed.Add(c.entry(anomaly))
	}
}

// Run sends callbacks until ctx ends, then waits for its goroutines. A later Run sends the remaining callbacks and
// repeats interrupted requests.
func (s *Sender) Run(ctx context.Context) {
	var workers sync.WaitGroup
	schedule.Run(ctx, s.schedule, func(now time.Time) time.Duration {
		start, wait := s.takeDue(now)
		for _, c := range start {
			workers.Go(func() { s.sendAll(ctx, c) })
		}
		return wait
	})
	workers.Wait()
}

// takeDue returns the callbacks that may be sent now. wait is the time until takeDue must be called again: 0 if more is
// due already, an hour if nothing is scheduled.
func (s *Sender) takeDue(now time.Time) (start []*callback, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range maxDue {
		w, _, ok := s.schedule.Due(now)
		if !ok {
			break
		}
		if w.callback != nil {
			w.callback.target.enqueue(w.callback)
		} else {
			w.target.account.ready.push(w.target)
		}
	}
	for _, a := range s.accounts {
		for c := a.next(now); c != nil; c = a.next(now) {
			start = append(start, c)
		}
	}
	return start, s.schedule.Wait(now)
}

// Counts returns the present numbers of callbacks and of the HTTP requests that sent them.
func (s *Sender) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := s.counts
	counts.Callbacks = len(s.callbacks)
	for _, a := range s.accounts {
		counts.InFlight += a.inFlight
	}
	return counts
}

// Ledger returns copies of all callbacks, each with its attempts (HTTP requests), in the order of the calls of Send.
func (s *Sender) Ledger() []ledger.Callback {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]ledger.Callback, 0, len(s.callbacks))
	for _, c := range s.callbacks {
		all = append(all, c.ledger())
	}
	return all
}
