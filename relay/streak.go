package relay

import "sync"

const (
	// several is how many batches Sinch must refuse in a row, and accept none, for the plan to be at fault.
	several = 5
	// maxAlone bounds the batches that are remembered as refused alone.
	maxAlone = 10_000
)

// streak tells a batch that Sinch refuses from a plan that it refuses: refusals of several batches in a row, with no success
// between them, are about the plan. A batch that was refused while others succeeded is at fault itself, and never counts
// again. The zero value is an empty streak.
type streak struct {
	mu      sync.Mutex
	refused map[string]struct{} // since the last success, at most several; guarded by mu
	alone   map[string]struct{} // guarded by mu
}

// refuse notes that Sinch refused a batch, and reports whether the plan is at fault.
func (s *streak) refuse(batchID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, alone := s.alone[batchID]; !alone && len(s.refused) < several {
		if s.refused == nil {
			s.refused = make(map[string]struct{}, several)
		}
		s.refused[batchID] = struct{}{}
	}
	return len(s.refused) >= several
}

// succeed ends the streak.
func (s *streak) succeed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refused) == 0 {
		return
	}
	if s.alone == nil || len(s.alone) >= maxAlone {
		s.alone = make(map[string]struct{})
	}
	for id := range s.refused {
		s.alone[id] = struct{}{}
	}
	clear(s.refused)
}
