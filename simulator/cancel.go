package simulator

import (
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// cancel ends the messages of a batch that have not reached the SMSC. It is permitted at any time. Cancelling again
// changes nothing.
func (s *Simulator) cancel(c *call) (any, error) {
	now := xms.Stamp(time.Now()).Time
	s.mu.Lock()
	defer s.unlock()
	b, err := s.find(c)
	if err != nil {
		return nil, err
	}
	s.dispatchIfDue(b, now)
	if !b.canceled {
		b.canceled, b.modified = true, now
		s.emit(Event{Kind: BatchCanceled, Plan: b.plan.ID, Batch: b.id, Count: len(b.recipients)})
		s.cancelQueued(b, now)
	}
	return b.view(), nil
}

// cancelQueued ends the queued messages of b. If b still waits for dispatch, it removes all recipients, so that the
// report is empty.
func (s *Simulator) cancelQueued(b *batch, now time.Time) {
	if b.waits {
		s.cancelDispatch(b)
		s.counts.Recipients -= len(b.recipients)
		b.recipients, b.index = nil, map[string]int32{}
		s.finishBatch(b, now)
		return
	}
	for i := range b.recipients {
		if m := &b.recipients[i]; m.stage == queued {
			m.fate = Fate{Status: statusCancelled, Code: codeCancelled, Lost: m.fate.Lost}
			s.finish(b, i, now)
		}
	}
}
