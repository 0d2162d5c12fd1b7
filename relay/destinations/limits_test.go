package destinations

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

func TestOverflow(t *testing.T) {
	for name, fail := range map[string]func(h *harness){
		"down":   func(h *harness) { h.app.refuse(true) },
		"paused": func(h *harness) { h.app.respond(always(410)) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(d *Destination) { d.MaxPending = 1500 }, func(t *testing.T, h *harness) {
				fail(h)
				ids := h.happen(50, batchNames(100)...)
				h.advance(5 * time.Minute)
				d, events := h.log.stored("app")
				require.Equal(t, 3500, d.Dead)
				var dead []string
				for _, e := range events {
					if e.Dead {
						require.Equal(t, store.DeliveryOverflow, e.Reason)
						dead = append(dead, e.Event.ID())
					}
				}
				for _, id := range dead {
					require.Less(t, slices.Index(ids, id), 3600, "the oldest; those in flight excepted")
				}
				require.InDelta(t, 1500, h.metric("waiting"), 0)
				require.InDelta(t, 3500, h.metric("dead"), 0)
				h.app.refuse(false)
				h.app.respond(always(200))
				n, err := h.log.RequeueEvents(t.Context(), "app", store.Now())
				require.NoError(t, err)
				require.Equal(t, 3500, n)
				h.advance(10 * time.Minute)
				requireSame(t, ids, h.app.received())
				h.requireDelivered()
			})
		})
	}
}

// Events that the destination does not receive neither become dead nor make others dead.
func TestOverflowOfFilteredEvents(t *testing.T) {
	inBubble(t, func(d *Destination) {
		d.MaxPending, d.Events = 100, []store.EventType{store.InboundReceived}
	}, func(t *testing.T, h *harness) {
		h.app.refuse(true)
		first := store.Event{
			Type: store.InboundReceived, At: store.Now(), Plan: planA, Key: "1",
			Raw: []byte(`{"type":"mo_text","id":"1"}`),
		}
		h.log.append(first)
		h.advance(time.Minute)
		h.happen(10, batchNames(100)...)
		last := first
		last.Key = "2"
		h.log.append(last)
		h.advance(time.Hour)
		d, _ := h.log.stored("app")
		require.LessOrEqual(t, d.Dead, 1, "only an event before the others")
		h.app.refuse(false)
		h.advance(10 * time.Minute)
		require.Contains(t, h.app.received(), last.ID())
	})
}

// With arrays, one event that is refused is found, and all others are delivered in order.
func TestArrayWithARefusedEvent(t *testing.T) {
	for _, at := range []int{0, 317, 499} {
		inBubble(t, func(d *Destination) { d.MaxEvents, d.GiveUp = 100, time.Hour }, func(t *testing.T, h *harness) {
			var ids []string
			for i := range 500 {
				ids = append(ids, h.happen(1, batchNames(17)[i%17])...)
			}
			bad := ids[at]
			h.app.respond(func(hit *hit) int {
				if hit.has(bad) {
					return 400
				}
				return 200
			})
			h.advance(2 * time.Hour)
			h.requireOrder(append(slices.Clone(ids[:at]), ids[at+1:]...))
			d, events := h.log.stored("app")
			require.Equal(t, []int{0, 1}, []int{d.Deferred, d.Dead})
			require.Equal(t, bad, events[0].Event.ID())
			require.Less(t, len(h.app.requests()), 500)
			require.Empty(t, h.lines.With(t, "destination circuit"))
		})
	}
}

func TestRate(t *testing.T) {
	inBubble(t, func(d *Destination) { d.Rate = 5 }, func(t *testing.T, h *harness) {
		h.happen(10, batchNames(50)...)
		h.advance(time.Minute)
		require.InDelta(t, 300, len(h.app.requests()), 5)
	})
}

// A destination that hangs does not delay another.
func TestDestinationsAreIndependent(t *testing.T) {
	inBubbleWith(t, func(h *harness) {
		second := h.config.Destinations[0]
		other := newApp(h.t)
		other.respond(hang)
		second.Name, second.dial, second.Timeout = "other", other.dial, time.Hour
		h.config.Destinations = append(h.config.Destinations, second)
	}, func(t *testing.T, h *harness) {
		ids := h.happen(50, batchNames(20)...)
		h.advance(time.Second)
		h.requireOrder(ids)
		h.advance(2 * time.Second)
		d, _ := h.log.stored("app")
		require.Equal(t, "1000", d.Cursor)
		d, _ = h.log.stored("other")
		require.Equal(t, "0", d.Cursor)
	})
}

// With little memory, as with hundreds of destinations, a page of the event log has fewer events.
func TestLittleMemory(t *testing.T) {
	inBubbleWith(t, func(h *harness) { h.config.Memory = 300 << 10 }, func(t *testing.T, h *harness) {
		h.app.refuse(true)
		ids := h.happen(10, batchNames(100)...)
		h.advance(time.Minute)
		l := h.deliverer.lanes[0]
		require.NotZero(t, l.window.items)
		require.Less(t, l.window.bytes, 2*l.destination.limits.bytes)
		h.app.refuse(false)
		h.advance(10 * time.Minute)
		h.requireOrder(ids)
		h.requireDelivered()
	})
}
