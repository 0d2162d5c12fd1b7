package simulator

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Simulator is Sinch's SMS REST API seen from outside. Its handlers take calls from New on; statuses change and callbacks
// leave only while Run runs. All methods may be called from any goroutine.
type Simulator struct {
	config    Config
	dice      dice
	transport http.RoundTripper
	running   atomic.Bool
	wake      chan struct{} // capacity 1: the agenda has something earlier than Run waits for

	mu        sync.Mutex // guards what follows and all that hangs on it
	plans     map[string]*plan
	planOrder []*plan
	batches   []*batch
	batchByID map[batchKey]*batch
	callbacks []*callback
	feedback  []FeedbackCall
	calls     ring
	faults    []*setFault
	fates     map[string]Fate
	agenda    agenda
	sequence  uint64
	unsettled int // status changes to come and callbacks that will be sent (again)
	counts    State
	observers []func(Event)
	happened  []Event // told to the observers once mu is free
}

// plan is a service plan with its traffic.
type plan struct {
	Plan
	originators []string           // numbers among them as digits
	home        *target            // the plan's default URL, which SetCallbackURL may change
	targets     map[string]*target // the callback_urls of its batches
	ready       queue[*target]     // targets that have callbacks waiting and are not asleep
	inFlight    int
	requests    *rate.Limiter // nil: no limit
	groups      groups
	asked       map[Operation]int // calls that name no batch
	sends       uint64            // ordinal of the last batch
	wantsBack   uint64            // ordinal of the last batch with feedback enabled
	inbounds    int
}

type batchKey struct{ plan, id string }

// New makes a simulator of the plans in c. It starts no goroutine.
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

// add makes a plan as it is described.
func (s *Simulator) add(described Plan) {
	p := &plan{Plan: described, targets: map[string]*target{}, asked: map[Operation]int{}}
	p.home = &target{plan: p, url: described.CallbackURL}
	for _, sender := range described.Originators {
		if number, ok := digits(sender); ok {
			sender = number
		}
		p.originators = append(p.originators, sender)
	}
	if limit := s.config.RequestsPerSecond; limit > 0 {
		p.requests = rate.NewLimiter(rate.Limit(limit), int(math.Ceil(limit)))
	}
	now := stamp(time.Now()).Time
	for _, id := range slices.Sorted(maps.Keys(described.Groups)) {
		g := &group{id: id, created: now, modified: now}
		g.add(described.Groups[id])
		p.groups.put(g)
	}
	s.plans[p.ID] = p
	s.planOrder = append(s.planOrder, p)
}

// SetCallbackURL changes the default URL of a plan: callbacks that wait or are retried go to the new one, and batches with a
// callback_url of their own keep theirs. It returns an error for a plan that does not exist or an URL that is none; an
// empty one is taken away.
func (s *Simulator) SetCallbackURL(planID, url string) error {
	if url != "" && !isCallbackURL(url) {
		return fmt.Errorf("simulator: callback url of plan %s: an absolute http or https URL is needed", planID)
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

// Settled says whether all is quiet: every recipient has its final status, and every callback is acknowledged, given up or
// lost, with no repetition to come.
func (s *Simulator) Settled() bool {
	s.mu.Lock()
	defer s.unlock()
	return s.unsettled == 0
}

// State is what there is, in numbers.
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

// State counts without copying the ledger.
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

// target finds or makes the target of a callback_url; the empty URL is the plan's own.
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
