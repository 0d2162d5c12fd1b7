package simulator

import "time"

// cancel stops what of a batch has not reached the SMSC. It is never too late for it, and once more changes nothing.
func (s *Simulator) cancel(c *call) (any, error) {
	now := stamp(time.Now()).Time
	s.mu.Lock()
	defer s.unlock()
	b, err := s.find(c)
	if err != nil {
		return nil, err
	}
	s.catchUp(b, now)
	if !b.canceled {
		b.canceled, b.modified = true, now
		s.tell(Event{Kind: BatchCanceled, Plan: b.plan.ID, Batch: b.id, Count: len(b.recipients)})
		s.stop(b, now)
	}
	return b.view(), nil
}

// stop ends every message of b that is not at the SMSC. Of a batch that still waits there are none any more: its report is empty.
func (s *Simulator) stop(b *batch, now time.Time) {
	if b.waits {
		s.stopWaiting(b)
		s.counts.Recipients -= len(b.recipients)
		b.recipients, b.index = nil, map[string]int32{}
		s.complete(b, now)
		return
	}
	for i := range b.recipients {
		if m := &b.recipients[i]; m.stage == queued {
			m.fate = Fate{Status: statusCancelled, Code: codeCancelled, Lost: m.fate.Lost}
			s.end(b, i, now)
		}
	}
}
