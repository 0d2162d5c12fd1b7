package relay

import "sync"

// The limits of a Streak: how many refused batches mean that Sinch refuses the whole service plan, and how many batches
// it remembers.
const (
	// refusalLimit is how many different batches Sinch must refuse in a row, without accepting one, for the plan to be
	// at fault.
	refusalLimit = 5
	// maxExempt bounds how many batches are remembered whose refusals no longer count.
	maxExempt = 10_000
)

// Streak finds out whether Sinch refuses single batches or the whole service plan. The plan is at fault after
// refusalLimit different batches were refused without a success between them. If a call succeeds before that, the
// refused batches themselves are at fault; later refusals of these batches are ignored. A Streak remembers about
// maxExempt such batches. The zero value is ready to use. A Streak is safe for concurrent use.
type Streak struct {
	mu      sync.Mutex
	refused map[string]struct{} // batches since the last success, at most refusalLimit; guarded by mu
	exempt  map[string]struct{} // batches that no longer count; guarded by mu
}

// Refuse records that Sinch refused a call for a batch. It reports whether the service plan is at fault, because
// refusalLimit different batches were refused since the last success.
func (s *Streak) Refuse(batchID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exempt := s.exempt[batchID]; !exempt && len(s.refused) < refusalLimit {
		if s.refused == nil {
			s.refused = make(map[string]struct{}, refusalLimit)
		}
		s.refused[batchID] = struct{}{}
	}
	return len(s.refused) >= refusalLimit
}

// Succeed records that Sinch accepted a call, which sets the count of refused batches to zero. If one of these batches
// is refused again later, it is not counted again.
func (s *Streak) Succeed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refused) == 0 {
		return
	}
	if s.exempt == nil || len(s.exempt) >= maxExempt {
		s.exempt = make(map[string]struct{})
	}
	for id := range s.refused {
		s.exempt[id] = struct{}{}
	}
	clear(s.refused)
}
