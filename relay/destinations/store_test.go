package destinations

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// Saves that fail, whether applied or not, cause neither a loss nor a repeat.
func TestFailingSaves(t *testing.T) {
	for _, applied := range []bool{false, true} {
		inBubble(t, nil, func(t *testing.T, h *harness) {
			n := 0
			h.log.failWith(func() (bool, error) {
				if n++; n%3 != 0 {
					return applied, errInjected
				}
				return true, nil
			}, nil)
			bad := ""
			h.app.respond(func(hit *hit) int {
				time.Sleep(10 * time.Millisecond)
				if hit.has(bad) {
					return 500
				}
				return 200
			})
			bad = h.happen(1, "bad")[0]
			ids := h.happen(100, append(batchNames(20), "bad")...)
			h.advance(5 * time.Minute)
			h.app.respond(always(200))
			h.advance(10 * time.Minute)
			h.requireOrder(append(ids, bad))
			h.log.failWith(nil, nil)
			h.advance(10 * time.Second)
			h.requireDelivered()
		})
	}
}

func TestFailingReads(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		ids := h.happen(10, "a", "b")
		h.log.failWith(nil, errInjected)
		h.advance(time.Hour)
		require.Empty(t, h.app.received())
		require.Len(t, h.lines.With(t, "events cannot be read or their delivery not be stored; will retry"), 1)
		h.log.failWith(nil, nil)
		h.advance(5 * time.Second)
		h.requireOrder(ids)
	})
}

func TestClosedStoreEndsRun(t *testing.T) {
	h := newHarness(t, nil)
	h.log.append(h.event("a"))
	h.log.destinations["app"] = &storedDestination{Destination: store.Destination{Name: "app", Cursor: "0", Epoch: 1}}
	h.log.closed = true
	d, err := New(h.config, h.log, h.metrics(), h.logger())
	require.NoError(t, err)
	require.ErrorIs(t, d.Run(t.Context()), store.ErrClosed)
}

// A requeue while events are delivered disturbs nothing: what is in memory is neither lost nor repeated.
func TestRequeueDuringDeliveries(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.app.respond(func(*hit) int {
			time.Sleep(100 * time.Millisecond)
			return 200
		})
		ids := h.happen(100, batchNames(10)...)
		for range 40 {
			h.advance(370 * time.Millisecond)
			_, err := h.log.RequeueEvents(t.Context(), "app", store.Now())
			require.NoError(t, err)
		}
		h.advance(30 * time.Second)
		h.requireOrder(ids)
		h.requireDelivered()
	})
}

// A requeue of more dead events than fit into memory delivers all of them, in the order of their ids.
func TestRequeueOfManyEvents(t *testing.T) {
	inBubble(t, func(d *Destination) { d.limits.deferred = 150 }, func(t *testing.T, h *harness) {
		change := store.DestinationChange{Epoch: 1, Cursor: "0"}
		var ids []string
		for i := range 1000 {
			e := h.event(batchNames(20)[i%20])
			ids = append(ids, e.ID())
			change.Put = append(change.Put, store.DeferredEvent{
				ID: int64(i + 1), Event: e, Since: store.Now(), Dead: true, Reason: store.DeliveryOverflow,
			})
		}
		h.stop()
		d, _ := h.log.stored("app")
		change.Epoch = d.Epoch
		_, err := h.log.SaveDestination(t.Context(), "app", change)
		require.NoError(t, err)
		h.start()
		h.advance(time.Minute)
		require.Empty(t, h.app.received())
		_, err = h.log.RequeueEvents(t.Context(), "app", store.Now())
		require.NoError(t, err)
		h.app.respond(func(*hit) int {
			time.Sleep(50 * time.Millisecond)
			return 200
		})
		h.advance(2 * time.Second) // until the deliverer notices the requeue
		ids = append(ids, h.happen(5, batchNames(20)...)...)
		require.Less(t, len(h.app.received()), 500)
		h.advance(time.Minute)
		h.requireOrder(ids)
		h.requireDelivered()
	})
}

// If no more events fit as deferred, the log is not read, so that the cursor waits.
func TestDeferredEventsAreLimited(t *testing.T) {
	inBubble(t, func(d *Destination) { d.limits.deferred = 50 }, func(t *testing.T, h *harness) {
		bad := h.happen(1, "bad")[0]
		h.app.respond(func(hit *hit) int {
			if hit.has(bad) {
				return 500
			}
			return 200
		})
		ids := h.happen(10, "a", "b")
		h.advance(time.Minute)
		h.requireOrder(ids)
		ids = append(ids, h.happen(2000, "bad")...)
		h.advance(time.Minute)
		d, _ := h.log.stored("app")
		require.Equal(t, 50, d.Deferred)
		h.app.respond(always(200))
		h.advance(15 * time.Minute)
		h.requireOrder(append(ids, bad))
		h.requireDelivered()
	})
}

func TestLostEvents(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		ids := h.happen(10, "a", "b")
		h.advance(5 * time.Second)
		h.stop()
		lost := h.happen(10, "c")
		later := h.happen(10, "d")
		h.log.trim(len(ids) + len(lost))
		h.start()
		h.advance(10 * time.Second)
		h.requireOrder(append(ids, later...))
		h.requireDelivered()
		require.Positive(t, h.metric("events_total", "result", "lost"))
		require.NotEmpty(t, h.lines.With(t,
			"retention deleted events before they were delivered; continuing with the oldest that is left"))
	})
}

// Retention deletes events that are in memory and wait: they are delivered, too.
func TestRetentionDuringAnOutage(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.app.refuse(true)
		ids := h.happen(10, batchNames(10)...)
		h.advance(time.Hour)
		h.log.trim(60)
		h.advance(time.Hour)
		require.InDelta(t, 100, h.metric("waiting"), 0)
		h.app.refuse(false)
		h.advance(10 * time.Minute)
		h.requireOrder(ids)
	})
}

func TestDeletedDestination(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.app.refuse(true)
		h.happen(10, "a")
		h.advance(time.Minute)
		require.NoError(t, h.log.DeleteDestination(t.Context(), "app"))
		h.advance(10 * time.Second)
		h.app.refuse(false)
		ids := h.happen(10, "b")
		h.advance(10 * time.Minute)
		require.Subset(t, h.app.received(), ids)
		require.NotContains(t, h.app.received(), "a")
		h.requireDelivered()
	})
}

func TestUnconfiguredDestinationIsLogged(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		_, err := h.log.SaveDestination(t.Context(), "old", store.DestinationChange{Cursor: "0"})
		require.NoError(t, err)
		h.happen(3, "a")
		h.stop()
		h.start()
		lines := h.lines.With(t, "a stored destination is not configured, and its events wait; "+
			"configure it again, or delete it with dlrloop destination purge")
		require.Len(t, lines, 1)
		require.Equal(t, "old", lines[0]["destination"])
		require.InDelta(t, 3, lines[0]["waiting"], 0)
		d, _ := h.log.stored("old")
		require.Equal(t, "0", d.Cursor)
	})
}

// Of two replicas only the holder of the lease delivers. When the lease moves, nothing is lost or repeated.
func TestReplicas(t *testing.T) {
	var holder atomic.Int32
	inBubbleWith(t, func(h *harness) {
		h.config.Held = func(context.Context, time.Time) (bool, error) { return holder.Load() == 0, nil }
	}, func(t *testing.T, h *harness) {
		other := *h
		other.config.Held = func(context.Context, time.Time) (bool, error) { return holder.Load() == 1, nil }
		other.start()
		h.app.respond(func(*hit) int {
			time.Sleep(200 * time.Millisecond)
			return 200
		})
		ids := h.happen(100, batchNames(12)...)
		for i := range 12 {
			h.advance(1900 * time.Millisecond)
			require.NotEmpty(t, h.app.received())
			// The lease is lost a while before the other replica gets it.
			holder.Store(2)
			h.advance(3 * time.Second)
			holder.Store(int32(i+1) % 2)
		}
		h.advance(time.Minute)
		h.requireOrder(ids)
		h.requireDelivered()
		require.Zero(t, other.metric("waiting"))
	})
}

// If both replicas believe to hold the lease, everything is still delivered.
func TestTwoHolders(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.app.open = nil // two requests of a batch may be in flight
		other := *h
		other.start()
		ids := h.happen(100, "")
		for range 60 {
			ids = append(ids, h.happen(3, "")...)
			h.advance(700 * time.Millisecond)
		}
		h.advance(time.Minute)
		got := h.app.received()
		slices.Sort(got)
		requireSame(t, ids, slices.Compact(got))
		h.requireDelivered()
	})
}

// Without events, and during an outage, the store is rarely asked and nothing is saved.
func TestIdle(t *testing.T) {
	for _, status := range []int{200, 500, 410} {
		inBubble(t, nil, func(t *testing.T, h *harness) {
			h.app.respond(always(status))
			h.happen(1, batchNames(10)...)
			h.advance(time.Minute)
			readsBefore, savesBefore := h.log.calls()
			h.advance(time.Minute)
			reads, saves := h.log.calls()
			require.LessOrEqual(t, reads-readsBefore, 240, "%d: 250 ms between two reads", status)
			require.LessOrEqual(t, saves-savesBefore, 10, "%d", status)
		})
	}
}

// The window is bounded in events and in bytes, however much waits.
func TestWindowIsBounded(t *testing.T) {
	inBubble(t, func(d *Destination) {
		d.limits.events, d.limits.bytes = 700, 1<<20
	}, func(t *testing.T, h *harness) {
		h.app.respond(hang)
		h.happen(20, batchNames(100)...)
		h.advance(5 * time.Second)
		l := h.deliverer.lanes[0]
		h.stop()
		require.Equal(t, 700, l.window.items)
		for i := range 3000 {
			h.log.append(store.Event{
				Type: store.InboundReceived, At: store.Now(), Plan: planA, Key: fmt.Sprint(i),
				Raw: []byte(`"` + strings.Repeat("x", 10<<10) + `"`),
			})
		}
		d := h.log.destinations["app"]
		d.Cursor, d.Epoch = "2000", d.Epoch+1
		h.start()
		h.advance(5 * time.Second)
		l = h.deliverer.lanes[0]
		h.stop()
		require.Less(t, l.window.bytes, 7<<20, "the limit and at most one page")
		require.Greater(t, l.window.bytes, 1<<20)
	})
}
