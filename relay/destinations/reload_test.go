package destinations

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// loadedLane returns the lane of a deliverer that does not run, with this number of deferred events in the store. The
// lane has loaded as many of them as fit.
func loadedLane(t *testing.T, deferred int, change func(*Destination)) *lane {
	t.Helper()
	h := newHarness(t, change)
	c := store.DestinationChange{Cursor: "0"}
	for i := range deferred {
		c.Put = append(c.Put, store.DeferredEvent{
			ID: int64(i + 1), Event: h.event("stored"), Since: store.Now(), Due: store.Now(), Attempts: 1,
		})
	}
	_, err := h.log.SaveDestination(t.Context(), "app", c)
	require.NoError(t, err)
	d, err := New(h.config, h.log, h.metrics(), h.logger())
	require.NoError(t, err)
	require.NoError(t, d.lanes[0].load(t.Context(), store.Now()))
	return d.lanes[0]
}

// While the deletion of a delivered event is being saved, the event is still stored. Reading further deferred events
// must not bring it back.
func TestDeliveredEventIsNotLoadedAgain(t *testing.T) {
	l, now := loadedLane(t, 250, func(d *Destination) { d.limits.deferred = 150 }), store.Now()
	require.True(t, l.more)
	l.add(store.Event{Type: store.InboundReceived, Plan: planA, Key: "1"}, place{func(int) string { return "0" }, 0}, now)
	own := l.window.slots[0].item
	l.deferItem(own, now, now)
	l.save(t.Context(), now)
	l.saveEnded(t.Context(), <-l.saves)
	l.delivered(own)
	saved := l.state // a save of the deletion begins
	l.saving = &saved
	l.clearChanges()
	for id := range int64(200) {
		if i := l.deferred[id+1]; i != nil {
			l.delivered(i)
		}
	}
	require.NoError(t, l.loadMore(t.Context(), now))
	require.NotContains(t, l.deferred, own.id)

	l.saving = nil
	require.NoError(t, l.loadMore(t.Context(), now))
	require.Len(t, l.deferred, 51, "the others, and it, since its deletion was not saved")
}

// An operator requeues an event that a save made dead although it seemed to fail. The requeue must not be undone.
func TestRequeueAfterAFailedSaveThatWasApplied(t *testing.T) {
	inBubble(t, func(d *Destination) { d.GiveUp = time.Hour }, func(t *testing.T, h *harness) {
		h.app.respond(always(422))
		ids := h.happen(1, "bad")
		h.advance(59 * time.Minute)
		h.log.failWith(func() (bool, error) { return true, errInjected }, nil)
		for d, _ := h.log.stored("app"); d.Dead == 0; d, _ = h.log.stored("app") {
			h.advance(100 * time.Millisecond)
		}
		_, err := h.log.RequeueEvents(t.Context(), "app", store.Now())
		require.NoError(t, err)
		h.log.failWith(nil, nil)
		h.app.respond(always(200))
		h.advance(2 * time.Minute)
		h.requireOrder(ids)
		h.requireDelivered()
	})
}

// If the clock is set back by an hour, nothing waits until it has caught up.
func TestClockSetBack(t *testing.T) {
	h := newHarness(t, nil)
	d, err := New(h.config, h.log, h.metrics(), h.logger())
	require.NoError(t, err)
	require.NoError(t, d.Prepare(t.Context()))
	l, now := d.lanes[0], store.Now()
	_, err = l.step(t.Context(), t.Context(), now)
	require.NoError(t, err)
	l.add(h.event("late"), place{func(int) string { return "0" }, 0}, now.Add(4*time.Hour))
	h.happen(3, "a")
	l.state.pausedAt = now // no request is made, but the change is saved
	now = now.Add(-4 * time.Hour)
	wait, err := l.step(t.Context(), t.Context(), now)
	require.NoError(t, err)
	require.LessOrEqual(t, wait, time.Second)
	require.NotNil(t, l.saving)
	l.saveEnded(t.Context(), <-l.saves)
	due, waits := l.queues.next()
	require.True(t, waits)
	require.Equal(t, now, due)
	_, err = h.log.RequeueEvents(t.Context(), "app", now)
	require.NoError(t, err)
	_, err = l.step(t.Context(), t.Context(), now.Add(2*time.Second))
	require.NoError(t, err)
	require.Equal(t, 4, l.window.items)
	for range l.inFlight {
		l.finish(t.Context(), <-l.results)
	}
}
