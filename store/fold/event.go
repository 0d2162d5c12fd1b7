package fold

import (
	"slices"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// event adds an event of the batch to Rows.Events, with the next version, unless the policy disables events. The caller
// sets Type and the fields that depend on it.
func (f *folding) event(e store.Event) {
	if !f.policy.Events {
		return
	}
	b := f.batch
	// Beginning with the time, the version also rises if retention deletes the batch and a late report starts it anew.
	b.Version = max(b.Version+1, f.arrival.At.UnixMilli())
	e.At, e.Plan, e.BatchID, e.Version = f.arrival.At, b.Plan, b.ID, b.Version
	e.ClientReference = b.ClientReference
	f.rows.Events = append(f.rows.Events, e)
}

// stateChanged adds an event if the winning state of a recipient now has another status or code. The arguments are the
// winning state before, and whether there was one.
func (f *folding) stateChanged(r *Row, held dlr.State, had bool) {
	if !f.policy.Events {
		return
	}
	if now, _ := r.State(); !had || now.Status != held.Status || now.Code != held.Code {
		f.event(store.Event{Type: store.RecipientStatus, Number: r.Number, State: now})
	}
}

// received adds an event with the callback of a report that was not applied before, if the policy keeps callbacks. Call
// it once per report, with its first part.
func (f *folding) received(n report) {
	if f.policy.KeepCallbacks && n.Source == store.FromCallback {
		f.event(store.Event{Type: store.ReportReceived, Raw: n.Raw, Signature: f.arrival.Signature})
	}
}

// completed adds an event if the arrival completed the batch.
func (f *folding) completed() {
	if !f.policy.Events {
		return
	}
	was := f.done
	if f.done = f.batch.Complete(); !f.done || was {
		return
	}
	e := store.Event{Type: store.BatchCompleted}
	for _, r := range f.batch.Reported {
		e.Counts = append(e.Counts, store.StatusCount{Status: r.Status, Code: r.Code, Messages: r.Messages()})
	}
	f.event(e)
}

// feedback adds an event about delivery feedback that an attempt concerned: for the recipients with these numbers, or
// for the whole batch. It adds none if neither is set.
func (f *folding) feedback(t store.EventType, n store.Settlement, moved []string, wholeBatch bool) {
	if len(moved) == 0 && !wholeBatch {
		return
	}
	e := store.Event{Type: t, Recipients: slices.Clone(moved), WholeBatch: wholeBatch}
	if t == store.FeedbackGivenUp {
		e.Reason, e.Detail = n.Reason, n.Detail
	}
	f.event(e)
}

// EventOf returns the event that follows from an arrival that belongs to no batch: an inbound message that is not
// stored yet, or a quarantined callback. key is the store's unique key of a quarantined callback. EventOf returns false
// if the policy p disables events, and for any other arrival.
func EventOf(a store.Arrival, key string, p store.Policy) (store.Event, bool) {
	e := store.Event{At: a.At, Plan: a.Plan, Key: key}
	switch n := a.Entry.(type) {
	case store.Inbound:
		e.Type, e.Key, e.Raw, e.ClientReference = store.InboundReceived, n.ID, n.Raw, n.ClientReference
	case store.Quarantined:
		e.Type, e.Misread, e.CallbackType = store.CallbackQuarantined, n.Reason, n.Type
		if p.KeepCallbacks {
			e.Raw = n.Raw
		}
	default:
		return e, false
	}
	if p.KeepCallbacks {
		e.Signature = a.Signature
	}
	return e, p.Events
}
