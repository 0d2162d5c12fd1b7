package fault

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Set holds the faults that were added and not cleared. The zero Set is empty and ready to use. All methods are safe
// for concurrent use.
type Set struct {
	mu     sync.Mutex      // guards faults and everything they point to
	faults []*countedFault // oldest first
}

// countedFault is a fault in a Set, with the number of calls that it has hit since Set.Add added it.
type countedFault struct {
	Fault
	hits    int
	cleared chan struct{} // closed by Clear
}

// Call identifies an API call by the properties that Set.Find compares with those of each fault.
type Call struct {
	Plan      string
	Operation Operation
	BatchID   string // empty if the call names no batch
}

// Hit is the fault that one API call hits, as Set.Find returns it. The zero Hit means no fault.
type Hit struct {
	Fault
	cleared <-chan struct{} // closed by Clear; nil for a Hit that no Set has returned
}

// Add adds a fault. If several faults match a call, the oldest one applies. A fault matches no more calls once it has
// hit its number of calls (Fault.Times). Add returns an error if f is invalid, for example if its kind is unknown.
func (s *Set) Add(f Fault) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("fault: %w", err)
	}
	if f.Kind == AppliedBut500 && f.Status == 0 {
		f.Status = http.StatusInternalServerError
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &countedFault{Fault: f, cleared: make(chan struct{})})
	return nil
}

// Clear removes all faults. Calls of Hit.Hang that wait because of one of them return at once.
func (s *Set) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		close(f.cleared)
	}
	s.faults = nil
}

// Find returns the oldest fault that matches call c, and counts the call as hit by this fault. It skips faults that
// have already hit their number of calls (Fault.Times). It returns false if no fault matches.
func (s *Set) Find(c Call) (Hit, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.matches(c) {
			f.hits++
			return Hit{f.Fault, f.cleared}, true
		}
	}
	return Hit{}, false
}

// Active is a fault that can still hit calls, in the JSON of GET /control/faults.
type Active struct {
	Fault Fault `json:"fault"`
	Hits  int   `json:"hits"` // number of calls that the fault has hit
}

// Active returns the faults that can still hit a call, oldest first. The result is never nil.
func (s *Set) Active() []Active {
	s.mu.Lock()
	defer s.mu.Unlock()
	active := []Active{}
	for _, f := range s.faults {
		if !f.spent() {
			active = append(active, Active{f.Fault, f.hits})
		}
	}
	return active
}

// spent reports whether f can hit no more calls, because it has hit f.Times calls. A spent fault stays in the Set so
// that Clear can end the calls that still hang because of it.
func (f *countedFault) spent() bool { return f.Times > 0 && f.hits >= f.Times }

func (f *countedFault) matches(c Call) bool {
	return !f.spent() &&
		(f.Plan == "" || f.Plan == c.Plan) &&
		(f.Operation == "" || f.Operation == c.Operation) &&
		(f.BatchID == "" || f.BatchID == c.BatchID)
}

// Delay blocks for h.Latency before the API call is handled. It returns false if ctx, the context of the call, ends
// earlier. For a fault that hangs, it returns true at once, because Hang uses the Latency of such a fault.
func (h Hit) Delay(ctx context.Context) bool {
	if h.Latency == 0 || h.Kind.hangs() {
		return true
	}
	timer := time.NewTimer(h.Latency)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Hang blocks until ctx (the context of the API call) ends, Set.Clear is called, or h.Latency has passed. A Latency of
// 0 means no time limit. If h is not a fault that hangs, Hang returns at once.
func (h Hit) Hang(ctx context.Context) {
	if !h.Kind.hangs() {
		return
	}
	var over <-chan time.Time
	if h.Latency > 0 {
		timer := time.NewTimer(h.Latency)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
	case <-h.cleared:
	case <-over:
	}
}
