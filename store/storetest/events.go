package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

var events = []behavior{
	{"events follow arrivals", eventsFollow},
	{"a store without the policy keeps no events", eventsDisabled},
	{"events are read in pages and from every cursor", eventsPaging},
	{"the events of a batch are in order", eventsInOrder},
	{"a large report has an event for each recipient", eventsOfLargeReport},
	{"events outside batches", eventsOutsideBatches},
	{"callbacks are kept with their signature", eventsWithCallbacks},
	{"old events are deleted", eventsTrimmed},
	{"events wait for every destination", eventsWait},
	{"retention deletes events that no destination received", eventsDeletedByRetention},
	{"versions rise after retention has deleted the batch", eventsAfterRetention},
}

func eventPolicy(string) store.Policy { return store.Policy{Events: true} }

func callbackPolicy(string) store.Policy { return store.Policy{Events: true, KeepCallbacks: true} }

// openEvents opens a store that keeps events for all plans.
func openEvents(t *testing.T, place Place) *opened {
	t.Helper()
	return open(t, place, Config{Policies: eventPolicy})
}

// log returns the event log of the store. It reads the totals first, because a read waits until every
// earlier arrival is folded, and Events does not.
func (o *opened) log() store.EventLog {
	o.t.Helper()
	_, err := o.Stats(context.Background())
	require.NoError(o.t, err)
	return o.Store
}

// events returns all events after the cursor, read in pages of at most limit events, and the last cursor. It checks
// what holds for every page: the versions of a batch rise, and no id occurs twice.
func (o *opened) events(after string, limit int) (all []store.Event, next string) {
	o.t.Helper()
	versions, seen := make(map[store.BatchKey]int64), make(map[string]bool)
	for l := o.log(); ; {
		page, err := l.Events(context.Background(), after, limit)
		require.NoError(o.t, err)
		require.NotEmpty(o.t, page.Next)
		if len(page.Events) == 0 {
			return all, page.Next
		}
		require.LessOrEqual(o.t, len(page.Events), limit)
		for _, e := range page.Events {
			if e.BatchID != "" {
				k := store.BatchKey{Plan: e.Plan, BatchID: e.BatchID}
				require.Greater(o.t, e.Version, versions[k], "the versions of a batch must rise")
				versions[k] = e.Version
			}
			require.False(o.t, seen[e.ID()], "an id occurs twice")
			seen[e.ID()] = true
		}
		require.Equal(o.t, page.Next, page.Cursor(len(page.Events)-1))
		all, after = append(all, page.Events...), page.Next
	}
}

// end returns the cursor after the newest event.
func (o *opened) end() string {
	o.t.Helper()
	end, err := o.log().EventsEnd(context.Background())
	require.NoError(o.t, err)
	return end
}

// backlog returns how many events follow the cursor.
func (o *opened) backlog(cursor string) int {
	o.t.Helper()
	b, err := o.log().EventBacklog(context.Background(), cursor)
	require.NoError(o.t, err)
	require.Equal(o.t, b.Events == 0, b.Oldest.IsZero())
	return b.Events
}

func eventsFollow(t *testing.T, place Place) {
	o := openEvents(t, place)
	all, none := o.events("", 10)
	require.Empty(t, all)
	require.Zero(t, o.backlog(none))
	o.record(
		arrives(1, says("1", "+"+alice, dlr.Dispatched, 401, sec(1))),
		arrives(2, says("1", alice, dlr.Dispatched, 401, sec(1))), // a repeat
		arrives(3, says("1", alice, dlr.Delivered, 0, sec(3))),
		arrives(4, says("1", alice, dlr.Queued, 400, sec(2))), // does not win
		at(sec(5), "other", allDelivered("1", bob)),
	)
	status := func(second int, plan, number string, s dlr.Status, code int, when time.Time) store.Event {
		return store.Event{
			Type: store.RecipientStatus, At: sec(second), Plan: plan, BatchID: "1", Version: sec(second).UnixMilli(),
			Number: number, State: dlr.State{Status: s, Code: code, At: when},
		}
	}
	want := []store.Event{
		status(1, plan, "+"+alice, dlr.Dispatched, 401, sec(1)),
		status(3, plan, "+"+alice, dlr.Delivered, 0, sec(3)),
		status(5, "other", bob, dlr.Delivered, 0, time.Time{}),
		{
			Type: store.BatchCompleted, At: sec(5), Plan: "other", BatchID: "1", Version: sec(5).UnixMilli() + 1,
			Counts: []store.StatusCount{{Status: dlr.Delivered, Messages: 1}},
		},
	}
	for range 2 {
		all, next := o.events(none, 10)
		require.ElementsMatch(t, want, all) // the order of two batches is not defined
		require.Zero(t, o.backlog(next))
		require.Equal(t, 4, o.backlog(none))
		require.Equal(t, 4, o.backlog(""))
		_, err := o.log().Events(t.Context(), o.end(), 10)
		require.NoError(t, err)
		require.Zero(t, o.backlog(o.end()))
		o.reopen()
	}
	page, err := o.log().Events(t.Context(), "not a cursor", 10)
	require.ErrorIs(t, err, store.ErrCursor)
	require.Empty(t, page.Events)
	_, err = o.log().EventBacklog(t.Context(), "not a cursor")
	require.ErrorIs(t, err, store.ErrCursor)
}

func eventsDisabled(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(1, delivered("1", alice)), arrives(2, texts("mo", alice, bob, "STOP")))
	o.record(arrives(3, store.Quarantined{}))
	all, _ := o.events("", 10)
	require.Empty(t, all)
	require.Zero(t, o.batch(key("1")).Version)
}

func eventsPaging(t *testing.T, place Place) {
	o := openEvents(t, place)
	var want []string
	for i := range 25 {
		o.record(arrives(i, allDelivered(fmt.Sprint(i%3), numbers(3 * i)[2*i:]...)))
	}
	all, _ := o.events("", 1000)
	for _, e := range all {
		want = append(want, e.ID())
	}
	for _, limit := range []int{1, 2, 7, 100} {
		var got []string
		read, _ := o.events("", limit)
		for _, e := range read {
			got = append(got, e.ID())
		}
		require.Equal(t, want, got, "in pages of %d", limit)
	}
	page, err := o.log().Events(t.Context(), "", 1000)
	require.NoError(t, err)
	for i := 0; i < len(page.Events); i += 13 {
		rest, _ := o.events(page.Cursor(i), 50)
		require.Len(t, rest, len(all)-i-1)
		require.Equal(t, len(all)-i-1, o.backlog(page.Cursor(i)))
		if len(rest) > 0 {
			require.Equal(t, want[i+1], rest[0].ID())
		}
	}
}

func eventsInOrder(t *testing.T, place Place) {
	o := openEvents(t, place)
	const batches, recipients = 7, 20
	var g errgroup.Group
	for b := range batches {
		for n := range recipients {
			g.Go(func() error {
				id := fmt.Sprint(b)
				for i, s := range []dlr.Status{dlr.Queued, dlr.Dispatched, dlr.Delivered} {
					if err := o.persist(arrives(i, says(id, number(n), s, i, sec(i)))); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	require.NoError(t, g.Wait())
	all, _ := o.events("", 17)
	require.Len(t, all, batches*recipients*3)
	last := make(map[string]dlr.Status)
	for _, e := range all {
		last[e.BatchID+" "+e.Number] = e.State.Status
	}
	require.Len(t, last, batches*recipients)
	for k, s := range last {
		require.Equal(t, dlr.Delivered, s, k)
	}
}

func eventsOfLargeReport(t *testing.T, place Place) {
	o := openEvents(t, place)
	const n = 9001
	o.record(arrives(1, allDelivered("1", numbers(n)...)))
	all, _ := o.events("", 1000)
	require.Len(t, all, n+1)
	require.Equal(t, store.BatchCompleted, all[n].Type)
	require.Equal(t, o.batch(key("1")).Version, all[n].Version)
}

func eventsOutsideBatches(t *testing.T, place Place) {
	o := openEvents(t, place)
	first := texts("mo", alice, "54321", "STOP")
	o.record(arrives(1, first), arrives(2, first), arrives(3, store.Quarantined{Reason: dlr.NotJSON, Raw: []byte("{")}))
	o.reopen()
	o.record(arrives(4, first), arrives(5, texts("mo", alice, "54321", "another text, the same id")))
	o.record(arrives(6, store.Quarantined{Reason: dlr.NotJSON, Raw: []byte("{")}))
	all, _ := o.events("", 10)
	require.Len(t, all, 3)
	require.Equal(t, store.Event{
		Type: store.InboundReceived, At: sec(1), Plan: plan, Key: "mo", Raw: first.Raw,
	}, all[0])
	for _, e := range all[1:] {
		require.Equal(t, store.CallbackQuarantined, e.Type)
		require.Equal(t, dlr.NotJSON, e.Misread)
		require.Empty(t, e.Raw)
	}
}

func eventsWithCallbacks(t *testing.T, place Place) {
	o := open(t, place, Config{Policies: callbackPolicy})
	signed := func(second int, n store.Entry) store.Arrival {
		a := arrives(second, n)
		a.Signature = &store.Signature{
			Algorithm: "HmacSHA256", Nonce: fmt.Sprint("n", second), Timestamp: "1772359200", Value: "c2ln",
		}
		return a
	}
	report, message := delivered("1", alice), texts("mo", alice, "54321", "STOP")
	arrivals := []store.Arrival{
		signed(1, report), signed(2, report), signed(3, message),
		signed(4, store.Quarantined{Reason: dlr.NotJSON, Raw: []byte("{\x00")}), arrives(5, polled(delivered("1", bob))),
	}
	o.record(arrivals...)
	o.reopen()
	all, _ := o.events("", 10)
	require.Len(t, all, 5)
	byType := make(map[store.EventType][]store.Event)
	for _, e := range all {
		byType[e.Type] = append(byType[e.Type], e)
	}
	for i, want := range map[int]store.EventType{
		0: store.ReportReceived, 2: store.InboundReceived, 3: store.CallbackQuarantined,
	} {
		require.Len(t, byType[want], 1)
		require.Equal(t, arrivals[i].Entry.RawBytes(), byType[want][0].Raw)
		require.Equal(t, arrivals[i].Signature, byType[want][0].Signature)
	}
	require.Len(t, byType[store.RecipientStatus], 2)
	require.Nil(t, byType[store.RecipientStatus][0].Signature)
}
