package simulator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/dlrloop/dlrloop/simulator/batches"
	"github.com/dlrloop/dlrloop/simulator/callbacks"
	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/simulator/groups"
	"github.com/dlrloop/dlrloop/simulator/inbound"
	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/random"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// ErrRunning is returned by Simulator.Run if another call of Run has not returned yet.
var ErrRunning = errors.New("simulator: already running")

// Simulator imitates Sinch's SMS REST API. Its handlers (API and Control) answer requests at any time. Message statuses
// change and callbacks are sent only while Run runs. All methods are safe for concurrent use.
type Simulator struct {
	config  Config
	random  random.Source
	plans   map[string]*plan // fixed by New
	running atomic.Bool

	ownTransport *http.Transport // nil if Config.Transport is set

	feed    ledger.Feed
	faults  fault.Set
	history history
	batches *batches.Store
	sender  *callbacks.Sender
}

// plan is a service plan while the simulator runs: its configuration, batches, groups, callback account, inbound
// messages and request limiter.
type plan struct {
	Plan
	batches  *batches.Plan
	groups   *groups.Groups
	account  *callbacks.Account
	inbound  *inbound.Plan
	requests *rate.Limiter // nil: no limit
}

// New returns a Simulator with the plans in c. It starts no goroutine; the caller must call Run. If c is invalid, the
// error names the field.
func New(c Config) (*Simulator, error) {
	c, err := c.resolve()
	if err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	s := &Simulator{config: c, random: random.New(c.Seed), plans: map[string]*plan{}}
	if c.Transport == nil {
		s.ownTransport = &http.Transport{
			MaxIdleConnsPerHost: c.MaxCallbacksInFlight,
			IdleConnTimeout:     90 * time.Second,
			DisableCompression:  true,
		}
		c.Transport = s.ownTransport
	}
	s.sender = callbacks.New(callbacks.Config{
		Random: s.random, Feed: &s.feed, Transport: c.Transport, Logger: c.Logger, RetryUnit: c.RetryUnit,
		Timeout: c.CallbackTimeout, MaxInFlight: c.MaxCallbacksInFlight, RepeatAfter: c.Pace, KeepNonce: c.KeepNonce,
	})
	s.batches = batches.New(batches.Config{
		Random: s.random, Feed: &s.feed, Sender: s.sender, Anomalies: c.Anomalies, Calm: c.Calm, Pace: c.Pace,
		Speed: c.Speed,
	})
	for _, described := range c.Plans {
		s.plans[described.ID] = s.newPlan(described)
	}
	return s, nil
}

func (s *Simulator) newPlan(described Plan) *plan {
	p := &plan{Plan: described}
	p.account = s.sender.NewAccount(callbacks.AccountConfig{
		ID: p.ID, URL: p.CallbackURL, Secret: p.Secret, Header: p.CallbackHeader,
	})
	p.groups = groups.New(p.Groups, func(ordinal int, created time.Time) string {
		return s.random.ID("group", created, random.Subject{Plan: p.ID, Turn: ordinal})
	})
	senders := make([]string, len(p.Originators))
	for i, sender := range p.Originators {
		senders[i] = xms.NormalizeSender(sender)
	}
	p.inbound = inbound.NewPlan(s.inboundConfig(), p.ID, p.account)
	p.batches = s.batches.NewPlan(batches.PlanConfig{
		ID: p.ID, Originators: senders, SmartEncoding: p.SmartEncoding, Groups: p.groups, Account: p.account,
		Inbound: p.inbound,
	})
	if limit := s.config.RequestsPerSecond; limit > 0 {
		p.requests = rate.NewLimiter(rate.Limit(limit), int(math.Ceil(limit)))
	}
	return p
}

func (s *Simulator) inboundConfig() inbound.Config {
	c, a := s.config, s.config.Anomalies
	return inbound.Config{
		Random: s.random, Sender: s.sender, Pace: c.Pace, Calm: c.Calm, Replies: c.Replies,
		Repeated: a.Repeated, Late: a.Late, Lost: a.Lost, Plus: a.Plus, LateBy: a.LateBy,
	}
}

// API returns the handler of Sinch's API under /xms/v1/{plan}/. net/http answers an unknown path with 404 and a wrong
// method with 405.
func (s *Simulator) API() http.Handler {
	a := &api{plans: s.plans, faults: &s.faults, history: &s.history, feed: &s.feed, logger: s.config.Logger}
	return a.handler()
}

// Run changes message statuses and sends callbacks until ctx ends, then waits for its goroutines and returns nil. If
// Run is called again later, it goes on with the pending changes and callbacks, and repeats interrupted callbacks. If
// another call of Run has not returned, Run returns ErrRunning at once.
func (s *Simulator) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer s.running.Store(false)
	var running sync.WaitGroup
	running.Go(func() { s.batches.Run(ctx) })
	running.Go(func() { s.sender.Run(ctx) })
	running.Wait()
	if s.ownTransport != nil {
		s.ownTransport.CloseIdleConnections()
	}
	return nil
}

// Observe makes the simulator call f for each later event, such as a callback attempt. The simulator waits until f
// returns. Several calls of f may run at the same time, and f may call methods of s.
func (s *Simulator) Observe(f func(ledger.Entry)) { s.feed.Subscribe(f) }

// SetCallbackURL replaces the default callback URL of a service plan, also for pending callbacks. An empty url removes
// the default. Batches with a callback_url of their own are not affected. It returns an error if the plan does not
// exist or url is invalid.
func (s *Simulator) SetCallbackURL(planID, url string) error {
	if url != "" && !xms.IsCallbackURL(url) {
		return fmt.Errorf("simulator: plan %s: callback url %s", planID, xms.CallbackURLRule)
	}
	p := s.plans[planID]
	if p == nil {
		return fmt.Errorf("simulator: plan %q does not exist", planID)
	}
	p.account.SetURL(url)
	return nil
}

// SetFault adds a fault: from now on, API calls that match f fail in the way that f.Kind names. If several faults match
// a call, only the oldest applies. SetFault returns an error if f is invalid or f.Plan does not exist.
func (s *Simulator) SetFault(f fault.Fault) error {
	if f.Plan != "" && s.plans[f.Plan] == nil {
		return fmt.Errorf("simulator: fault: plan %q does not exist", f.Plan)
	}
	if err := s.faults.Add(f); err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	return nil
}

// ClearFaults removes all faults added by SetFault. The connections of calls that hang because of a fault are closed at
// once.
func (s *Simulator) ClearFaults() { s.faults.Clear() }

// SetOutcome plans outcome o for all messages to a phone number that are not dispatched yet, in every service plan. It
// returns an error if number is invalid, o.Code is negative, or o.Status is Queued or Dispatched.
func (s *Simulator) SetOutcome(number string, o Outcome) error {
	if err := s.batches.SetOutcome(number, o); err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	return nil
}

// Settled reports whether nothing is left to do: every message has its final status, and no callback will be sent,
// retried or repeated any more.
func (s *Simulator) Settled() bool { return s.batches.Counts().Settled }

// State counts batches, recipients, callbacks and feedback calls since New. Its JSON is the answer to GET
// /control/state.
type State struct {
	Batches      int  `json:"batches"`
	Recipients   int  `json:"recipients"`
	Callbacks    int  `json:"callbacks"`
	Inbound      int  `json:"callbacks_inbound"` // of them about inbound messages
	Pending      int  `json:"callbacks_pending"`
	Acknowledged int  `json:"callbacks_acknowledged"`
	GaveUp       int  `json:"callbacks_gave_up"`
	Lost         int  `json:"callbacks_lost"`
	Attempts     int  `json:"callback_attempts"`
	InFlight     int  `json:"callbacks_in_flight"`
	Feedback     int  `json:"feedback_calls"`
	Settled      bool `json:"settled"`
}

// State returns the present counts. It is cheaper than Ledger, since it copies no batches or callbacks.
func (s *Simulator) State() State {
	n := s.batches.Counts()
	c := n.Callbacks
	return State{
		Batches: n.Batches, Recipients: n.Recipients, Settled: n.Settled, Feedback: s.history.feedbackCalls(),
		Callbacks: c.Callbacks, Pending: c.Callbacks - c.Acknowledged - c.GaveUp - c.Lost,
		Inbound: c.Inbound, Acknowledged: c.Acknowledged, GaveUp: c.GaveUp, Lost: c.Lost, Attempts: c.Attempts,
		InFlight: c.InFlight,
	}
}

// Ledger returns a copy of the record of all batches, callbacks and delivery feedback calls since New.
func (s *Simulator) Ledger() ledger.Ledger {
	sent, calledBack := s.batches.Ledger()
	return ledger.Ledger{Batches: sent, Callbacks: calledBack, Feedback: s.history.allFeedback()}
}

// Calls returns a copy of the last 4096 API calls in the order of their answers, oldest first. It includes refused
// calls, but not those to an unknown path or with a wrong method.
func (s *Simulator) Calls() []ledger.Call { return s.history.allCalls() }
