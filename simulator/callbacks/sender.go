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

// maxDue limits the callbacks that Run queues while it holds the mutex, so that API calls are not blocked for long.
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

// Sender sends callbacks to the customer, with retries and rate limits. All methods are safe for concurrent use.
type Sender struct {
	config Config

	mu        sync.Mutex // guards the fields below, the accounts and everything they point to
	accounts  []*Account
	callbacks []*callback
	schedule  *schedule.Queue[work]
	counts    Counts
}

// work is an element of the schedule: a callback to attempt, or a target whose rate limit permits a callback again.
type work struct {
	callback *callback
	target   *target
}

// Counts counts the callbacks, in total and by result, and their attempts.
type Counts struct {
	Callbacks    int
	Acknowledged int
	GaveUp       int
	Lost         int
	Attempts     int
	InFlight     int // attempts that wait for an answer
	Unsettled    int // callbacks that will be sent, retried or repeated
}

// New returns a Sender without accounts. It sends callbacks only while Run runs.
func New(c Config) *Sender { return &Sender{config: c, schedule: schedule.NewQueue[work]()} }

// NewAccount adds an account for one plan and returns it. The account sends to c.URL until SetURL replaces that URL.
func (s *Sender) NewAccount(c AccountConfig) *Account {
	a := &Account{config: c, sender: s, targets: map[string]*target{}}
	a.home = &target{account: a, url: c.URL}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts = append(s.accounts, a)
	return a
}

// Send records a callback with content m and, unless lost is true, schedules its first attempt for the time due. url is
// the callback_url of the batch; if it is empty, each attempt uses the default URL that a has at that moment. anomaly
// names the anomaly that delays the callback, for example ledger.CallbackLate; empty means none. Send calls no
// observers, so the caller may hold locks.
func (s *Sender) Send(a *Account, url string, m Message, due time.Time, lost bool, anomaly ledger.EntryKind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &callback{target: a.target(url), message: m, ordinal: len(s.callbacks) + 1, result: ledger.Pending}
	s.callbacks = append(s.callbacks, c)
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

// Run sends callbacks until ctx ends, then waits for its goroutines. A later Run continues with the pending callbacks
// and repeats the attempts that were interrupted.
func (s *Sender) Run(ctx context.Context) {
	var workers sync.WaitGroup
	schedule.Run(ctx, s.schedule, func(now time.Time) time.Duration {
		start, wait := s.takeDue(now)
		for _, c := range start {
			workers.Go(func() { s.work(ctx, c) })
		}
		return wait
	})
	workers.Wait()
}

// takeDue returns the callbacks that Run must start to send now, and the time to wait until more are due.
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

// Counts returns the present numbers of callbacks and attempts.
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

// Ledger returns copies of all callbacks with their attempts, in the order of Send.
func (s *Sender) Ledger() []ledger.Callback {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]ledger.Callback, 0, len(s.callbacks))
	for _, c := range s.callbacks {
		all = append(all, c.ledger())
	}
	return all
}
