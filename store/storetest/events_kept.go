package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

func eventsForeignCursor(t *testing.T, place, other Place) {
	o, foreign := openEvents(t, place), openEvents(t, other)
	for _, each := range []*opened{o, foreign} {
		each.record(arrives(1, delivered("1", alice)), arrives(2, delivered("1", bob)))
	}
	page, err := foreign.log().Events(t.Context(), "", 1)
	require.NoError(t, err)
	for _, cursor := range []string{page.Next, foreign.end()} {
		_, err = o.log().Events(t.Context(), cursor, 10)
		var gone *store.CursorGoneError
		require.ErrorAs(t, err, &gone)
		all, _ := o.events(gone.Oldest, 10)
		require.Len(t, all, 2)
	}
}

func eventsTrimmed(t *testing.T, place Place) {
	o := openEvents(t, place)
	o.record(arrives(1, delivered("1", alice)))
	_, old := o.events("", 10)
	o.record(arrives(10, delivered("1", bob)))
	require.Equal(t, 1, o.backlog(old)) // so that the next event is not stored together with this one
	o.record(arrives(20, delivered("2", bob)))
	require.NoError(t, o.log().TrimEvents(t.Context(), sec(1)))
	all, _ := o.events("", 10)
	require.Len(t, all, 3, "the time itself is not older")

	require.NoError(t, o.log().TrimEvents(t.Context(), sec(15)))
	for range 2 {
		all, next := o.events("", 10)
		require.Len(t, all, 1)
		require.Equal(t, "2", all[0].BatchID)
		var gone *store.CursorGoneError
		_, err := o.log().Events(t.Context(), old, 10)
		require.ErrorAs(t, err, &gone)
		_, err = o.log().EventBacklog(t.Context(), old)
		require.ErrorAs(t, err, &gone)
		all, end := o.events(gone.Oldest, 10)
		require.Len(t, all, 1)
		require.Equal(t, next, end)
		require.Equal(t, 1, o.backlog(""))
		o.reopen()
	}
	require.NoError(t, o.log().TrimEvents(t.Context(), sec(30)))
	all, next := o.events("", 10)
	require.Empty(t, all)
	o.record(arrives(40, delivered("3", bob)))
	all, _ = o.events(next, 10)
	require.Len(t, all, 1, "a cursor at the end stays valid although all events were deleted")
}

func eventsWait(t *testing.T, place Place) {
	o := openEvents(t, place)
	o.saveDestination("app", store.DestinationChange{Cursor: o.end()})
	o.record(arrives(1, delivered("1", alice)), arrives(2, delivered("1", bob)))
	require.NoError(t, o.log().TrimEvents(t.Context(), sec(30)))
	all, next := o.events("", 10)
	require.Len(t, all, 2, "the destination has not received them")

	o.saveDestination("app", store.DestinationChange{Epoch: o.destination("app").Epoch, Cursor: next})
	o.saveDestination("late", store.DestinationChange{Cursor: next})
	require.NoError(t, o.log().TrimEvents(t.Context(), sec(30)))
	all, _ = o.events("", 10)
	require.Empty(t, all)
}

func eventsDeletedByRetention(t *testing.T, place Place) {
	o := openEvents(t, place)
	begin := o.end()
	o.saveDestination("app", store.DestinationChange{Cursor: begin})
	o.record(arrives(1, delivered("1", alice)))
	require.Equal(t, 1, o.backlog(begin)) // so that the next event is not stored together with this one
	o.record(arrives(100, delivered("2", bob)))
	_, _, err := o.DeleteOlder(t.Context(), sec(50), 10)
	require.NoError(t, err)
	var gone *store.CursorGoneError
	_, err = o.log().Events(t.Context(), begin, 10)
	require.ErrorAs(t, err, &gone)
	all, _ := o.events(gone.Oldest, 10)
	require.Len(t, all, 1)
	require.Equal(t, "2", all[0].BatchID)
}

func eventsAfterRetention(t *testing.T, place Place) {
	o := openEvents(t, place)
	o.record(arrives(1, allDelivered("1", numbers(50)...)), arrives(1, delivered("1", alice)))
	settled := o.claimOne(plan, sec(2))
	o.settle(settled, sec(2), store.OutcomeAccepted)
	version := o.batch(key("1")).Version
	for more := true; more; {
		var err error
		_, more, err = o.DeleteOlder(t.Context(), sec(60), 10)
		require.NoError(t, err)
	}
	_, err := o.Batch(t.Context(), key("1"))
	require.ErrorIs(t, err, store.ErrNotFound)
	o.record(arrives(61, delivered("1", alice)))
	require.Greater(t, o.batch(key("1")).Version, version)
}
