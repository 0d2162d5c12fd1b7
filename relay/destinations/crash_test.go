package destinations

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// An event is deferred, or dead, while an earlier event of another batch is still being attempted. After a crash it is
// delivered once, and counted once as waiting.
func TestCrashBehindAnUnfinishedEvent(t *testing.T) {
	for name, giveUp := range map[string]time.Duration{"deferred": time.Hour, "dead": 2 * time.Second} {
		for _, unordered := range []bool{false, true} {
			inBubble(t, func(d *Destination) {
				d.GiveUp, d.Unordered, d.Timeout = giveUp, unordered, time.Minute
			}, func(t *testing.T, h *harness) {
				if unordered {
					h.app.open = nil // two requests of a batch may be in flight
				}
				slow, bad := h.happen(1, "slow"), h.happen(1, "bad")
				h.app.respond(func(hit *hit) int {
					switch {
					case hit.has(slow[0]):
						return hang(hit)
					case hit.has(bad[0]):
						return 422
					}
					return 200
				})
				h.advance(20 * time.Second)
				ids := append(slices.Clone(slow), bad...)
				require.Empty(t, h.app.received())
				require.Positive(t, h.metric("events_total", "result", name))
				dead := int(h.metric("dead"))
				require.InDelta(t, len(ids)-dead, h.metric("waiting"), 0, name)

				h.crash()
				h.start()
				require.InDelta(t, dead, h.metric("dead"), 0, name)
				require.InDelta(t, len(ids)-dead, h.metric("waiting"), 0, name)
				ids = append(ids, h.happen(3, "slow", "bad", "good")...)
				h.app.respond(always(200))
				h.advance(2 * time.Minute)
				require.Len(t, h.app.received(), len(ids)-dead, name)
				n, err := h.log.RequeueEvents(t.Context(), "app", store.Now())
				require.NoError(t, err)
				require.Equal(t, dead, n, name)
				h.advance(2 * time.Minute)
				requireSame(t, ids, h.app.received())
				if dead == 0 && !unordered {
					h.requireInOrder()
				}
				h.requireDelivered()
			})
		}
	}
}

// Too many events wait while requests of the oldest are in flight. After a crash no event becomes dead a second time.
func TestCrashAfterAnOverflow(t *testing.T) {
	for _, most := range []int{1, 7} {
		inBubble(t, func(d *Destination) { d.MaxPending, d.MaxEvents = 100, most }, func(t *testing.T, h *harness) {
			h.app.respond(func(*hit) int {
				time.Sleep(9 * time.Second)
				return 200
			})
			ids := h.happen(30, batchNames(50)...)
			h.advance(8 * time.Second) // all workers are busy, and no answer has arrived
			h.crash()
			d, _ := h.log.stored("app")
			require.Equal(t, 1400, d.Dead)
			_, err := h.log.RequeueEvents(t.Context(), "app", store.Now())
			require.NoError(t, err)
			before := h.app.received() // accepted by the requests that were in flight
			require.Len(t, before, 8*most)
			h.app.respond(always(200))
			h.start()
			h.advance(5 * time.Minute)
			requireSame(t, ids, h.app.received()[len(before):])
			h.requireDelivered()
		})
	}
}
