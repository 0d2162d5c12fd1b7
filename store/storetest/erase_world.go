package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// everything returns all that the reads of the store return, as text.
func (o *opened) everything() string {
	o.t.Helper()
	ctx := context.Background()
	var all strings.Builder
	add := func(v any, err error) {
		o.t.Helper()
		require.NoError(o.t, err)
		text, err := json.MarshalIndent(v, "", " ")
		require.NoError(o.t, err)
		_, _ = all.Write(text)
	}
	raw := func(body []byte) { _, _ = all.WriteString(" " + string(body) + "\n") }
	for _, b := range o.batches(store.BatchQuery{}) {
		add(b, nil)
		for _, r := range every(o.t, 0, func(p store.Paging) (store.Page[*store.Recipient], error) {
			return o.Recipients(ctx, b.Key(), store.RecipientQuery{Paging: p})
		}) {
			full := o.withBodies(b.Key(), r.Number)
			add(full.Recipient, nil)
			for _, body := range full.Bodies {
				raw(body)
			}
		}
		for _, l := range every(o.t, 0, func(p store.Paging) (store.Page[store.Logged], error) {
			return o.Reports(ctx, b.Key(), p)
		}) {
			raw(l.Raw)
		}
	}
	for _, m := range o.inbound(store.InboundQuery{}) {
		raw(m.Raw)
	}
	for _, e := range every(o.t, 0, func(p store.Paging) (store.Page[store.QuarantineEntry], error) {
		return o.Quarantine(ctx, p)
	}) {
		raw(e.Raw)
	}
	event := func(e store.Event) {
		raw(e.Raw)
		add(e, nil)
	}
	events, _ := o.events("", 100)
	for _, e := range events {
		event(e)
	}
	destinations, err := o.log().Destinations(ctx)
	add(destinations, err)
	for _, d := range destinations {
		for _, e := range append(o.deferred(d.Name, false), o.deferred(d.Name, true)...) {
			event(e.Event)
			add(e, nil)
		}
	}
	return all.String()
}

// fill records something of each kind that names alice, and the same for bob. It returns how many things Erase must
// change or delete for alice.
func fill(o *opened) store.Erased {
	o.t.Helper()
	for i, number := range []string{alice, bob} {
		spelled := "+" + number[:2] + " " + number[2:]
		o.record(
			arrives(1, withReference(says("1", spelled, dlr.Dispatched, 401, sec(1)), "for-"+number)),
			arrives(2, delivered("1", number)),
			arrives(3, delivered(fmt.Sprint("single", i), number)),
			arrives(4, confirms("confirmed", number)),
			at(sec(5), "other", delivered("1", "00"+number)),
			arrives(6, texts(fmt.Sprint("from", i), spelled, "54321", "STOP")),
			arrives(7, texts(fmt.Sprint("to", i), "54321", number, "a reply")),
			arrives(8, store.Quarantined{Reason: dlr.NoBatchID, Raw: []byte(`{"recipient":"` + number + `"}`)}),
			arrives(9, store.Quarantined{Reason: dlr.NotJSON, Raw: []byte("recipient=" + number)}),
		)
	}
	o.record(arrives(10, allDelivered("full", "+"+alice, bob, carol)))
	deferredFor := func(id int64, number string) store.DeferredEvent {
		d := deferredEvent(id)
		d.Event.Number, d.Detail = number, "400: no such number: "+number
		return d
	}
	about := deferredEvent(5)
	about.Event = store.Event{
		Type: store.InboundReceived, At: sec(1), Plan: plan, Key: "from0", Raw: texts("from0", alice, "54321", "STOP").Raw,
	}
	dead := deferredFor(3, alice)
	dead.Dead, dead.Due = true, time.Time{}
	o.saveDestination("app", store.DestinationChange{
		Cursor: o.end(), Put: []store.DeferredEvent{deferredFor(1, alice), deferredFor(2, bob), dead, about},
	})
	// Recipients: 1, single0, confirmed and full of the plan, and 1 of the other plan. Reports: two of batch 1, and one of
	// each of the others except the confirmed one.
	erased := store.Erased{Recipients: 5, Reports: 5, InboundMessages: 2, Quarantined: 2, Events: 3}
	events, _ := o.events("", 100)
	for _, e := range events {
		raw := string(e.Raw)
		e.Raw = nil
		if strings.Contains(raw+fmt.Sprintf("%+v", e), alice[2:]) {
			erased.Events++
		}
	}
	return erased
}

// Fill records something of each kind that names a phone number, and the same for other numbers. The policies of the
// store s must enable Events and KeepCallbacks. Fill returns the digits of the number, and what Erase must return.
func Fill(t *testing.T, s store.Store) (number string, want store.Erased) {
	t.Helper()
	return alice, fill(&opened{Store: s, t: t, host: t})
}

func openCallbacks(t *testing.T, place Place) *opened {
	t.Helper()
	return open(t, place, Config{Policies: callbackPolicy})
}
