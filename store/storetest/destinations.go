package storetest

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

var destinations = []behavior{
	{"the progress of a destination is kept", destinationKept},
	{"a change of an outdated state is refused", destinationConflict},
	{"one of several concurrent changes wins", destinationRace},
	{"deferred events are kept, replaced and deleted", eventsDeferred},
	{"dead events are requeued", eventsRequeued},
	{"dead events are deleted by retention", deadEventsDeleted},
	{"a destination is deleted with its events", destinationDeleted},
	{"deferred events are listed in pages", deferredPaging},
}

// destination returns the stored destination with this name.
func (o *opened) destination(name string) store.Destination {
	o.t.Helper()
	all, err := o.log().Destinations(context.Background())
	require.NoError(o.t, err)
	at := slices.IndexFunc(all, func(d store.Destination) bool { return d.Name == name })
	require.NotEqual(o.t, -1, at, "no destination %s", name)
	return all[at]
}

// saveDestination changes or creates a destination and returns its new epoch.
func (o *opened) saveDestination(name string, c store.DestinationChange) int64 {
	o.t.Helper()
	epoch, err := o.log().SaveDestination(context.Background(), name, c)
	require.NoError(o.t, err)
	require.Greater(o.t, epoch, c.Epoch)
	return epoch
}

// deferred returns the deferred or the dead events of a destination.
func (o *opened) deferred(name string, dead bool) []store.DeferredEvent {
	o.t.Helper()
	return every(o.t, 0, func(p store.Paging) (store.Page[store.DeferredEvent], error) {
		return o.log().DeferredEvents(context.Background(), name, dead, p)
	})
}

// deferredEvent returns a deferred event with this id for a recipient report.
func deferredEvent(id int64) store.DeferredEvent {
	return store.DeferredEvent{
		ID: id, Since: sec(1), Due: sec(int(id)), Attempts: 2, Reason: store.DeliveryServer, Detail: "503",
		Event: store.Event{
			Type: store.RecipientStatus, At: sec(1), Plan: plan, BatchID: "1", Version: sec(1).UnixMilli() + id,
			ClientReference: "order\x00 7", Number: "+" + alice, State: dlr.State{Status: dlr.Delivered, At: sec(1)},
		},
	}
}

// dead returns a dead event with this id.
func dead(id int64) store.DeferredEvent {
	d := deferredEvent(id)
	d.Dead, d.Due, d.Reason = true, time.Time{}, store.DeliveryGaveUp
	return d
}

func destinationKept(t *testing.T, place Place) {
	o := openEvents(t, place)
	all, err := o.log().Destinations(t.Context())
	require.NoError(t, err)
	require.Empty(t, all)
	begin := o.end()
	o.record(arrives(1, delivered("1", alice)))
	first := o.saveDestination("b-app", store.DestinationChange{Cursor: begin})
	o.saveDestination("a\x00", store.DestinationChange{Cursor: begin})
	o.reopen()
	require.Equal(t, 1, o.backlog(o.destination("b-app").Cursor))
	second := o.saveDestination("b-app", store.DestinationChange{
		Epoch: first, Cursor: o.end(), PausedAt: sec(2), Put: []store.DeferredEvent{deferredEvent(7)},
	})
	want := store.Destination{Name: "b-app", Epoch: second, PausedAt: sec(2), LastID: 7, Deferred: 1}
	for range 2 {
		all, err := o.log().Destinations(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 2)
		require.Equal(t, "a\x00", all[0].Name)
		require.Zero(t, o.backlog(all[1].Cursor))
		want.Cursor = all[1].Cursor
		require.Equal(t, want, all[1])
		o.reopen()
	}
}

func destinationConflict(t *testing.T, place Place) {
	o := openEvents(t, place)
	epoch := o.saveDestination("app", store.DestinationChange{Cursor: o.end()})
	before := o.destination("app")
	for _, wrong := range []int64{0, epoch - 1, epoch + 1} {
		_, err := o.log().SaveDestination(t.Context(), "app", store.DestinationChange{
			Epoch: wrong, Cursor: o.end(), PausedAt: sec(1), Put: []store.DeferredEvent{deferredEvent(1)},
		})
		require.ErrorIs(t, err, store.ErrConflict)
	}
	_, err := o.log().SaveDestination(t.Context(), "unknown", store.DestinationChange{Epoch: 1, Cursor: o.end()})
	require.ErrorIs(t, err, store.ErrConflict)
	require.Equal(t, before, o.destination("app"))
	require.Empty(t, o.deferred("app", false))
}

func destinationRace(t *testing.T, place Place) {
	o := openEvents(t, place)
	end := o.end()
	for epoch := int64(0); epoch < 5; {
		var g errgroup.Group
		var won, next atomic.Int64
		for range 8 {
			g.Go(func() error {
				e, err := o.SaveDestination(context.Background(), "app",
					store.DestinationChange{Epoch: epoch, Cursor: end})
				if err == nil {
					won.Add(1)
					next.Store(e)
					return nil
				}
				require.ErrorIs(t, err, store.ErrConflict)
				return nil
			})
		}
		require.NoError(t, g.Wait())
		require.EqualValues(t, 1, won.Load())
		epoch = next.Load()
	}
}

func eventsDeferred(t *testing.T, place Place) {
	o := openEvents(t, place)
	_, err := o.log().DeferredEvents(t.Context(), "app", false, store.Paging{})
	require.ErrorIs(t, err, store.ErrNotFound)
	epoch := o.saveDestination("app", store.DestinationChange{
		Cursor: o.end(), Put: []store.DeferredEvent{deferredEvent(1), deferredEvent(2), deferredEvent(3)},
	})
	require.Equal(t, []store.DeferredEvent{deferredEvent(1), deferredEvent(2), deferredEvent(3)}, o.deferred("app", false))
	replaced := deferredEvent(2)
	replaced.Attempts, replaced.Due = 3, sec(90)
	o.saveDestination("app", store.DestinationChange{
		Epoch: epoch, Cursor: o.end(), Put: []store.DeferredEvent{replaced, dead(3)}, Delete: []int64{1, 1, 99},
	})
	for range 2 {
		require.Equal(t, []store.DeferredEvent{replaced}, o.deferred("app", false))
		require.Equal(t, []store.DeferredEvent{dead(3)}, o.deferred("app", true))
		d := o.destination("app")
		require.Equal(t, []int64{3, 1, 1}, []int64{d.LastID, int64(d.Deferred), int64(d.Dead)})
		o.reopen()
	}
}

func eventsRequeued(t *testing.T, place Place) {
	o := openEvents(t, place)
	_, err := o.log().RequeueEvents(t.Context(), "app", sec(9))
	require.ErrorIs(t, err, store.ErrNotFound)
	epoch := o.saveDestination("app", store.DestinationChange{
		Cursor: o.end(), PausedAt: sec(1), Put: []store.DeferredEvent{dead(1), deferredEvent(2), dead(3)},
	})
	n, err := o.log().RequeueEvents(t.Context(), "app", sec(9))
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Empty(t, o.deferred("app", true))
	all := o.deferred("app", false)
	require.Len(t, all, 3)
	for _, i := range []int{0, 2} {
		require.False(t, all[i].Dead)
		require.Equal(t, sec(9), all[i].Due)
		require.Equal(t, sec(9), all[i].Since)
		require.Zero(t, all[i].Attempts)
		require.Equal(t, dead(int64(i+1)).Event, all[i].Event)
	}
	require.Equal(t, deferredEvent(2), all[1])
	d := o.destination("app")
	require.Greater(t, d.Epoch, epoch, "the deliverer must notice")
	require.Zero(t, d.PausedAt)
	require.Equal(t, []int{3, 0}, []int{d.Deferred, d.Dead})
}

func deadEventsDeleted(t *testing.T, place Place) {
	o := openEvents(t, place)
	old, young := dead(1), dead(2)
	old.Since, young.Since = sec(1), sec(100)
	o.saveDestination("app", store.DestinationChange{
		Cursor: o.end(), Put: []store.DeferredEvent{old, young, deferredEvent(3)},
	})
	_, _, err := o.DeleteOlder(t.Context(), sec(50), 10)
	require.NoError(t, err)
	require.Equal(t, []store.DeferredEvent{young}, o.deferred("app", true))
	require.Len(t, o.deferred("app", false), 1, "a deferred event is not dead")
	require.Equal(t, 1, o.destination("app").Dead)
}

func destinationDeleted(t *testing.T, place Place) {
	o := openEvents(t, place)
	require.ErrorIs(t, o.log().DeleteDestination(t.Context(), "app"), store.ErrNotFound)
	for _, name := range []string{"app", "app2"} {
		o.saveDestination(name, store.DestinationChange{
			Cursor: o.end(), Put: []store.DeferredEvent{deferredEvent(1), dead(2)},
		})
	}
	require.NoError(t, o.log().DeleteDestination(t.Context(), "app"))
	for range 2 {
		all, err := o.log().Destinations(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.Len(t, o.deferred("app2", true), 1)
		o.reopen()
	}
	o.saveDestination("app", store.DestinationChange{Cursor: o.end()})
	require.Empty(t, o.deferred("app", false))
	require.Zero(t, o.destination("app").LastID)
}

func deferredPaging(t *testing.T, place Place) {
	o := openEvents(t, place)
	var put []store.DeferredEvent
	for id := int64(1); id <= 25; id++ {
		put = append(put, deferredEvent(id))
	}
	o.saveDestination("app", store.DestinationChange{Cursor: o.end(), Put: put})
	all := every(t, 4, func(p store.Paging) (store.Page[store.DeferredEvent], error) {
		return o.log().DeferredEvents(t.Context(), "app", false, p)
	})
	require.Equal(t, put, all)
}
