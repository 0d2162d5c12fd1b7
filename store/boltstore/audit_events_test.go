package boltstore

import (
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// events checks that the event log has exactly the changes that the state shows: sequence numbers without gaps,
// versions that rise, the stored state of each recipient as its last event, and one event for each inbound message,
// quarantined callback and logged report.
func (a *audit) events() {
	var all []store.Event
	ids, last := make(map[string]bool), uint64(0)
	for cursor := ""; ; {
		page, err := a.s.Events(a.ctx, cursor, 100)
		require.NoError(a.t, err)
		if len(page.Events) == 0 {
			break
		}
		for i, e := range page.Events {
			_, seq, err := decodeEventCursor(page.Cursor(i))
			require.NoError(a.t, err)
			require.True(a.t, last == 0 || seq == last+1, "event %d follows event %d", seq-1, last-1)
			last = seq
			// Retention deletes batches of the other plan within milliseconds of their last event, so that a new batch
			// may get the same versions.
			require.False(a.t, e.Plan == "live" && ids[e.ID()], "id of event %d occurs twice", seq-1)
			ids[e.ID()] = true
		}
		all, cursor = append(all, page.Events...), page.Next
	}
	versions, states := make(map[store.BatchKey]int64), make(map[string]store.Event)
	found := make(map[store.EventType]map[string]int)
	for _, t := range append(store.EventTypes(), store.ReportReceived) {
		found[t] = make(map[string]int)
	}
	for _, e := range all {
		if e.BatchID != "" && e.Plan == "live" {
			key := store.BatchKey{Plan: e.Plan, BatchID: e.BatchID}
			require.Greater(a.t, e.Version, versions[key], "versions of batch %s", e.BatchID)
			versions[key] = e.Version
			states[e.BatchID+"/"+dlr.Digits(e.Number)] = e
		}
		if e.Plan == "live" {
			found[e.Type][e.Key+string(e.Raw)]++
		}
	}
	for _, b := range a.batches["live"] {
		require.Equal(a.t, versions[b.Key()], b.Version, "version of batch %s and of its last event", b.ID)
		for _, r := range pages(a.t, func(p store.Paging) (store.Page[*store.Recipient], error) {
			return a.s.Recipients(a.ctx, b.Key(), store.RecipientQuery{Paging: p})
		}) {
			held, reported := r.State()
			e, ok := states[b.ID+"/"+dlr.Digits(r.Number)]
			require.Equal(a.t, reported, ok, "recipient %s of batch %s has an event", r.Number, b.ID)
			require.Equal(a.t, fmt.Sprint(held.Status, held.Code), fmt.Sprint(e.State.Status, e.State.Code),
				"last event of recipient %s of batch %s", r.Number, b.ID)
		}
		for _, l := range pages(a.t, func(p store.Paging) (store.Page[store.Logged], error) {
			return a.s.Reports(a.ctx, b.Key(), p)
		}) {
			require.Equal(a.t, 1, found[store.ReportReceived][string(l.Raw)], "events of a report")
			delete(found[store.ReportReceived], string(l.Raw))
		}
	}
	require.Empty(a.t, found[store.ReportReceived], "events of reports that are not stored")
	for _, m := range pages(a.t, func(p store.Paging) (store.Page[store.InboundMessage], error) {
		return a.s.InboundMessages(a.ctx, store.InboundQuery{Paging: p})
	}) {
		require.Equal(a.t, 1, found[store.InboundReceived][m.ID+string(m.Raw)], "events of inbound message %s", m.ID)
		delete(found[store.InboundReceived], m.ID+string(m.Raw))
	}
	require.Empty(a.t, found[store.InboundReceived], "events of inbound messages that are not stored")
	require.Len(a.t, found[store.CallbackQuarantined], a.s.Gauges().QuarantineEntries)
}

// destination checks the progress of the child's destination: every acknowledged change is stored, as a whole, and its
// cursor lies in the event log.
func (a *audit) destination() {
	all, err := a.s.Destinations(a.ctx)
	require.NoError(a.t, err)
	epoch := int64(0)
	for _, d := range all {
		epoch = d.Epoch
		require.True(a.t, a.w.begun[fmt.Sprint("destination ", epoch)])
		_, err := a.s.EventBacklog(a.ctx, d.Cursor)
		require.NoError(a.t, err)
		page, err := a.s.DeferredEvents(a.ctx, d.Name, false, store.Paging{})
		require.NoError(a.t, err)
		require.Len(a.t, page.Items, 1)
		require.Equal(a.t, []int64{epoch, epoch, 1}, []int64{page.Items[0].ID, d.LastID, int64(d.Deferred)})
	}
	for n := epoch + 1; n < epoch+3; n++ {
		require.False(a.t, a.w.done[fmt.Sprint("destination ", n)], "change %d of the destination was acknowledged", n)
	}
}
