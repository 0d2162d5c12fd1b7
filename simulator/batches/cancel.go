package batches

import (
	"time"

	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// Cancel gives the messages of a batch that are still Queued the status Cancelled and returns the batch as a
// JSON-encodable value. It returns an *xms.Error if the batch is unknown. Cancelling a batch again changes nothing.
func (p *Plan) Cancel(id string) (any, error) {
	now := xms.Stamp(time.Now()).Time
	s := p.store
	s.mu.Lock()
	defer s.unlock()
	b, err := p.find(id, now)
	if err != nil {
		return nil, err
	}
	s.dispatchIfDue(b, now)
	if !b.canceled {
		b.canceled, b.modified = true, now
		s.config.Feed.Add(ledger.Entry{
			Kind: ledger.BatchCanceled, Plan: p.ID, Batch: b.id, Count: len(b.recipients),
		})
		s.cancelQueued(b, now)
	}
	return b.view(), nil
}

// cancelQueued gives the messages of b that are still Queued the status Cancelled. If b waits for its dispatch,
// cancelQueued removes all recipients instead, so that the report on b is empty. The caller must hold s.mu.
func (s *Store) cancelQueued(b *batch, now time.Time) {
	if b.waits {
		s.cancelDispatch(b)
		s.recipients -= len(b.recipients)
		b.recipients, b.index = nil, map[string]int32{}
		s.finishBatch(b, now)
		return
	}
	for i := range b.recipients {
		if m := &b.recipients[i]; m.stage == queued {
			m.outcome = Outcome{Status: statusCancelled, Code: codeCancelled, Lost: m.outcome.Lost}
			s.finish(b, i, now)
		}
	}
}
