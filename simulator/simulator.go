package simulator

import (
	"fmt"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/simulator/groups"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// Simulator imitates Sinch's SMS REST API. API and Control serve calls as soon as New returns; statuses change and
// callbacks are sent only while Run runs. All methods are safe for concurrent use.
type Simulator struct {
	config    Config
	dice      dice
	transport http.RoundTripper
	running   atomic.Bool
	faults    fault.Set
	wake      chan struct{} // capacity 1; signals a new earliest agenda entry to Run

	mu        sync.Mutex // guards the fields below and everything they point to
	plans     map[string]*plan
	planOrder []*plan
	batches   []*batch
	batchByID map[batchKey]*batch
	callbacks []*callback
	feedback  []FeedbackCall
	calls     ring
	fates     map[string]Fate
	agenda    agenda
	sequence  uint64
	unsettled int // pending status changes, and callbacks that will be sent or repeated
	counts    State
	observers []func(Event)
	emitted   []Event // passed to the observers when mu is unlocked
}

// plan is a service plan with its callback queues and call counts.
type plan struct {
	Plan
	originators  []string           // phone numbers are stored as digits
	home         *target            // the plan's default callback URL; SetCallbackURL changes it
	targets      map[string]*target // by callback_url of its batches
	ready        queue[*target]     // targets with waiting callbacks that their throttle does not hold back
	inFlight     int
	requests     *rate.Limiter // nil: no limit
	groups       *groups.Groups
	callCounts   map[fault.Operation]int // number of calls without a batch in their path
	lastBatch    uint64                  // ordinal of the last batch
	lastFeedback uint64                  // ordinal of the last batch that had feedback enabled
	inbounds     int                     // number of inbound messages
}

type batchKey struct{ plan, id string }

// New returns a Simulator with the plans in c, or an error that names the wrong field of c. It starts no goroutine.
func New(c Config) (*Simulator, error) {
	c, err := c.resolve()
	if err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	s := &Simulator{
		config:    c,
		dice:      dice{c.Seed},
		transport: c.Transport,
		wake:      make(chan struct{}, 1),
		plans:     map[string]*plan{},
		batchByID: map[batchKey]*batch{},
		fates:     map[string]Fate{},
	}
	if s.transport == nil {
		s.transport = &http.Transport{
			MaxIdleConnsPerHost: c.MaxCallbacksInFlight,
			IdleConnTimeout:     90 * time.Second,
			DisableCompression:  true,
		}
	}
	for _, described := range c.Plans {
		s.add(described)
	}
	return s, nil
}

// add creates a plan.
func (s *Simulator) add(described Plan) {
	p := &plan{Plan: described, targets: map[string]*target{}, callCounts: map[fault.Operation]int{}}
	p.home = &target{plan: p, url: described.CallbackURL}
	for _, sender := range described.Originators {
		if number, ok := xms.Digits(sender); ok {
			sender = number
		}
		p.originators = append(p.originators, sender)
	}
	if limit := s.config.RequestsPerSecond; limit > 0 {
		p.requests = rate.NewLimiter(rate.Limit(limit), int(math.Ceil(limit)))
	}
	p.groups = groups.New(described.Groups, func(ordinal int, created time.Time) string {
		return s.dice.id("group", created, subject{plan: p.ID, turn: ordinal})
	})
	s.plans[p.ID] = p
	s.planOrder = append(s.planOrder, p)
}

// SetFault makes matching API calls fail from now on. If several faults match a call, only the oldest applies. It
// returns an error if f is invalid or its plan does not exist.
func (s *Simulator) SetFault(f fault.Fault) error {
	if f.Plan != "" && s.plans[f.Plan] == nil { // plans are fixed by New
		return fmt.Errorf("simulator: fault: plan %q does not exist", f.Plan)
	}
	if err := s.faults.Add(f); err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	return nil
}

// ClearFaults removes all faults added by SetFault. It closes the connections of calls that hang because of them.
func (s *Simulator) ClearFaults() { s.faults.Clear() }

// SetCallbackURL replaces the default callback URL of a plan. Waiting and retried callbacks then go to the new URL;
// batches with their own callback_url are not affected. An empty url removes the default. It returns an error if the
// plan does not exist or the URL is invalid.
func (s *Simulator) SetCallbackURL(planID, url string) error {
	if url != "" && !xms.IsCallbackURL(url) {
		return fmt.Errorf("simulator: plan %s: callback url %s", planID, xms.CallbackURLRule)
	}
	s.mu.Lock()
	defer s.unlock()
	p := s.plans[planID]
	if p == nil {
		return fmt.Errorf("simulator: plan %q does not exist", planID)
	}
	p.home.url = url
	p.home.throttle = throttle{}
	return nil
}

// Settled reports whether all work is done: every recipient has its final status, every callback is acknowledged,
// given up or lost, and none will be repeated.
func (s *Simulator) Settled() bool {
	s.mu.Lock()
	defer s.unlock()
	return s.unsettled == 0
}

// State holds counts of everything that the simulator has stored.
type State struct {
	Batches      int  `json:"batches"`
	Recipients   int  `json:"recipients"`
	Callbacks    int  `json:"callbacks"`
	Pending      int  `json:"callbacks_pending"`
	Acknowledged int  `json:"callbacks_acknowledged"`
	GaveUp       int  `json:"callbacks_gave_up"`
	Lost         int  `json:"callbacks_lost"`
	Attempts     int  `json:"callback_attempts"`
	InFlight     int  `json:"callbacks_in_flight"`
	Feedback     int  `json:"feedback_calls"`
	Settled      bool `json:"settled"`
}

// State returns the present counts. Unlike Ledger it copies no batches or callbacks.
func (s *Simulator) State() State {
	s.mu.Lock()
	defer s.unlock()
	state := s.counts
	state.Batches, state.Callbacks, state.Feedback = len(s.batches), len(s.callbacks), len(s.feedback)
	state.Pending = state.Callbacks - state.Acknowledged - state.GaveUp - state.Lost
	for _, p := range s.planOrder {
		state.InFlight += p.inFlight
	}
	state.Settled = s.unsettled == 0
	return state
}

// target returns the target for a callback_url and creates it if necessary. For an empty url it returns the plan's
// default target.
func (p *plan) target(url string) *target {
	if url == "" {
		return p.home
	}
	t := p.targets[url]
	if t == nil {
		t = &target{plan: p, url: url}
		p.targets[url] = t
	}
	return t
}
