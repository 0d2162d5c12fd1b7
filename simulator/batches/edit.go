package batches

import (
	"time"

	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// Update changes those JSON fields of a batch that the body contains and returns the batch as a JSON-encodable value.
// It returns an *xms.Error if the batch is unknown or already dispatched, or if the body is invalid.
func (p *Plan) Update(id string, body []byte) (any, error) {
	u, err := xms.ReadUpdate(body)
	if err != nil {
		return nil, err
	}
	change := func(b *batch) (xms.Batch, error) { return u.ApplyTo(b.request) }
	return p.edit(id, ledger.BatchUpdated, change, func(b *batch) { b.updated++ })
}

// Replace replaces all of a batch except its id and created_at and returns the batch as a JSON-encodable value. It
// returns an *xms.Error if the batch is unknown or already dispatched, or if the body is invalid.
func (p *Plan) Replace(id string, body []byte) (any, error) {
	request, err := xms.ReadBatch(body)
	if err != nil {
		return nil, err
	}
	change := func(*batch) (xms.Batch, error) { return request, nil }
	return p.edit(id, ledger.BatchReplaced, change, func(b *batch) { b.replaced++ })
}

// edit implements Update and Replace for the batch with this id. It calls change to get the batch's new request, and
// count to increment the batch's number of updates or replacements. Observers get a ledger entry of the given kind. If
// the batch was already dispatched, edit returns an *xms.Error with status 403.
func (p *Plan) edit(
	id string, kind ledger.EntryKind, change func(*batch) (xms.Batch, error), count func(*batch),
) (any, error) {
	now := xms.Stamp(time.Now()).Time
	s := p.store
	s.mu.Lock()
	defer s.unlock()
	b, err := p.find(id, now)
	if err != nil {
		return nil, err
	}
	s.dispatchIfDue(b, now)
	if !b.waits {
		return nil, xms.Forbidden("batch_already_dispatched", "The batch has left the queue")
	}
	request, err := change(b)
	if err != nil {
		return nil, err
	}
	c, err := p.prepare(request, b.created, now)
	if err != nil {
		return nil, err
	}
	count(b)
	s.config.Feed.Add(ledger.Entry{Kind: kind, Plan: p.ID, Batch: b.id, Count: len(c.recipients)})
	s.setContents(b, c, now)
	return b.view(), nil
}
