package simulator

import (
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// update changes the members that the request names. null removes a member.
func (s *Simulator) update(c *call) (any, error) {
	r, err := xms.ReadUpdate(c.body)
	if err != nil {
		return nil, err
	}
	return s.revise(c, func(b *batch) (xms.Batch, error) { return r.ApplyTo(b.request) }, func(b *batch) EventKind {
		b.updated++
		return BatchUpdated
	})
}

// replace replaces everything of a batch but its id and created_at.
func (s *Simulator) replace(c *call) (any, error) {
	m, err := xms.ReadBatch(c.body)
	if err != nil {
		return nil, err
	}
	return s.revise(c, func(*batch) (xms.Batch, error) { return m, nil }, func(b *batch) EventKind {
		b.replaced++
		return BatchReplaced
	})
}

// revise sets the batch named by c to the members that edit returns. It answers 403 if the batch was dispatched.
// count increments the batch's counter and returns the kind of event to emit.
func (s *Simulator) revise(c *call, edit func(*batch) (xms.Batch, error), count func(*batch) EventKind) (any, error) {
	now := xms.Stamp(time.Now()).Time
	s.mu.Lock()
	defer s.unlock()
	b, err := s.find(c)
	if err != nil {
		return nil, err
	}
	s.dispatchIfDue(b, now)
	if !b.waits {
		return nil, xms.Forbidden("batch_already_dispatched", "The batch has left the queue")
	}
	m, err := edit(b)
	if err != nil {
		return nil, err
	}
	d, err := s.draft(b.plan, m, b.created, now)
	if err != nil {
		return nil, err
	}
	s.emit(Event{Kind: count(b), Plan: b.plan.ID, Batch: b.id, Count: len(d.recipients)})
	s.applyDraft(b, d, now)
	return b.view(), nil
}
