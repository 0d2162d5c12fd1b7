package erase

import (
	"slices"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// Event erases the number from an event and reports whether that changed the event. An event of one inbound message or
// of one recipient report loses its callback if that is about the number (see store.Event.Erased). Any other callback
// keeps the rest of its body, but loses its signature, which does not match it any more. Event replaces slices and does
// not change their memory.
func (n *Number) Event(e *store.Event) (changed bool) {
	key := store.BatchKey{Plan: e.Plan, BatchID: e.BatchID}
	for _, text := range []*string{&e.ClientReference, &e.Detail} {
		changed = n.replace(key, text) || changed
	}
	if e.Number != "" && n.Is(e.Number) {
		e.Number, changed = n.Name(key), true
	}
	if at := slices.IndexFunc(e.Recipients, n.Is); at >= 0 {
		e.Recipients, changed = slices.Clone(e.Recipients), true
		for i := range e.Recipients {
			if n.Is(e.Recipients[i]) {
				e.Recipients[i] = n.Name(key)
			}
		}
	}
	if body := n.Body(key, e.Raw); len(body) > 0 && &body[0] != &e.Raw[0] {
		if n.concerns(e) {
			body = nil
		}
		e.Raw, e.Signature, changed = body, nil, true
	}
	return changed
}

// concerns reports whether the callback of the event is an inbound message from or to the number, or a recipient report
// about it.
func (n *Number) concerns(e *store.Event) bool {
	if e.Type != store.InboundReceived && e.Type != store.ReportReceived {
		return false
	}
	c, err := dlr.Parse(e.Raw)
	switch {
	case err != nil:
		return false
	case c.Inbound != nil:
		return n.Message(c.Inbound)
	}
	return c.Type.Recipient() && slices.ContainsFunc(c.Report.Entries, func(e dlr.Entry) bool {
		return slices.ContainsFunc(e.Recipients, n.Is)
	})
}

// Message reports whether an inbound message came from the number or was sent to it.
func (n *Number) Message(m *dlr.Inbound) bool {
	return m.From != "" && n.Is(m.From) || m.To != "" && n.Is(m.To)
}

// Deferred erases the number from an event that a destination did not accept, and reports whether that changed it. The
// caller deletes the event if its Event.Erased then returns true.
func (n *Number) Deferred(d *store.DeferredEvent) (changed bool) {
	changed = n.replace(store.BatchKey{Plan: d.Event.Plan, BatchID: d.Event.BatchID}, &d.Detail)
	return n.Event(&d.Event) || changed
}

// Batch erases the number from the texts in the row of a batch, such as its client reference, and reports whether that
// changed the row. BatchInfo is copied first.
func (n *Number) Batch(b *store.Batch) (changed bool) {
	texts := []*string{&b.ClientReference}
	if b.Task != nil {
		texts = append(texts, &b.Task.Detail)
	}
	if b.Dead != nil {
		texts = append(texts, &b.Dead.Detail)
	}
	if b.Info != nil {
		info := *b.Info
		b.Info = &info
		texts = append(texts, &b.Info.ClientReference)
	}
	for _, text := range texts {
		changed = n.replace(b.Key(), text) || changed
	}
	return changed
}

// replace replaces the number in text, and reports whether text contained it.
func (n *Number) replace(key store.BatchKey, text *string) bool {
	erased := n.Text(key, *text)
	changed := erased != *text
	*text = erased
	return changed
}
