package destinations

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

func TestEventsAreDeliveredInOrderAndOnce(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.app.respond(func(hit *hit) int {
			time.Sleep(time.Duration(hit.number%7) * 10 * time.Millisecond)
			return 200
		})
		ids := h.happen(40, batchNames(12)...)
		h.advance(30 * time.Second)
		h.requireOrder(ids)
		h.requireDelivered()
		require.Equal(t, 8, h.app.most, "all workers")
		require.InDelta(t, 480, h.metric("events_total", "result", "delivered"), 0)
		require.InDelta(t, 480, h.metric("attempts_total", "reason", "accepted"), 0)
		for _, name := range []string{"waiting", "oldest_seconds", "dead", "paused"} {
			require.Zero(t, h.metric(name), name)
		}
	})
}

// Every third request fails in one way or another, with many workers.
func TestOrderWithFailures(t *testing.T) {
	for _, most := range []int{1, 20} {
		inBubble(t, func(d *Destination) { d.MaxEvents = most }, func(t *testing.T, h *harness) {
			h.app.respond(func(hit *hit) int {
				time.Sleep(time.Duration(hit.number%5) * 10 * time.Millisecond)
				if hit.number%3 == 0 {
					return []int{500, 0, 404, 429, 503, 302, 400}[hit.number/3%7]
				}
				return 200
			})
			ids := h.happen(20, batchNames(12)...)
			h.advance(2 * time.Hour)
			h.requireOrder(ids)
			h.requireDelivered()
		})
	}
}

func TestUnorderedEventsDoNotWait(t *testing.T) {
	inBubble(t, func(d *Destination) { d.Unordered = true }, func(t *testing.T, h *harness) {
		ids := h.happen(30, "")
		first := h.event("b")
		h.log.append(first)
		others := []store.Event{h.event("b"), h.event("b"), h.event("b")}
		h.app.respond(func(hit *hit) int {
			if hit.has(first.ID()) {
				return 500
			}
			return 200
		})
		h.advance(time.Second)
		h.log.append(others...)
		h.advance(4 * time.Second)
		for _, e := range others {
			ids = append(ids, e.ID())
		}
		require.ElementsMatch(t, ids, h.app.received())
	})
}

func TestStartAtTheEndOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.happen(5, "before")
		h.start()
		ids := h.happen(2, "after")
		h.advance(5 * time.Second)
		h.requireOrder(ids)
	})
}

func TestFilters(t *testing.T) {
	inBubble(t, func(d *Destination) {
		d.Plans, d.Events = []string{planA}, []store.EventType{store.InboundReceived, store.BatchCompleted}
	}, func(t *testing.T, h *harness) {
		h.happen(3, "b")
		wanted := store.Event{Type: store.InboundReceived, At: store.Now(), Plan: planA, Key: "in-1", Raw: []byte("{}")}
		other := wanted
		other.Plan = "plan-b"
		h.log.append(wanted, other)
		h.happen(3, "c")
		h.advance(5 * time.Second)
		require.Equal(t, []string{wanted.ID()}, h.app.received())
		h.requireDelivered()
		require.InDelta(t, 7, h.metric("events_total", "result", "filtered"), 0)
	})
}

func TestGracefulStopRepeatsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.start()
		h.app.respond(func(*hit) int {
			time.Sleep(300 * time.Millisecond)
			return 200
		})
		ids := h.happen(30, batchNames(5)...)
		for range 20 {
			h.advance(1100 * time.Millisecond)
			h.stop()
			h.start()
		}
		h.requireOrder(ids)
		h.requireDelivered()
	})
}

// A stop while requests hang repeats nothing either: the events before those delivered are deferred.
func TestStopWhileRequestsHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.start()
		h.app.respond(func(hit *hit) int {
			if hit.number%5 == 0 {
				return hang(hit)
			}
			return 200
		})
		ids := h.happen(30, batchNames(20)...)
		for range 5 {
			h.advance(100 * time.Millisecond)
			h.stop()
			h.start()
		}
		h.app.respond(always(200))
		h.advance(time.Minute)
		h.requireOrder(ids)
		h.requireDelivered()
	})
}

// In a crash, nothing is stored any more.
func TestCrashRepeatsOnlySinceTheCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.start()
		h.app.respond(func(*hit) int {
			time.Sleep(20 * time.Millisecond)
			return 200
		})
		ids := h.happen(200, batchNames(10)...)
		crashes := 0
		for ; h.distinct() < len(ids); crashes++ {
			h.advance(1700 * time.Millisecond)
			h.crash()
			h.start()
		}
		h.advance(5 * time.Second)
		require.Greater(t, crashes, 2)
		require.Equal(t, len(ids), h.distinct())
		seen, last := make(map[string]bool), make(map[string]int64)
		for _, e := range h.app.accepted {
			if !seen[e.ID] {
				require.Equal(t, last[e.Batch]+1, e.Version, "the first deliveries are in order")
				last[e.Batch] = e.Version
			}
			seen[e.ID] = true
		}
		repeats := len(h.app.accepted) - len(ids)
		require.LessOrEqual(t, repeats, crashes*8*50, "at most what a second delivers")
		require.Positive(t, repeats, "the test needs crashes that repeat something")
		h.requireDelivered()
	})
}
