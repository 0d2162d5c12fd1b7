package destinations

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/store"
)

// While the destination fails as a whole, the cursor waits, nothing is deferred, and one request at a time probes it.
func TestOutage(t *testing.T) {
	for name, answer := range map[string]func(h *harness) func(*hit) int{
		"500":   func(*harness) func(*hit) int { return always(500) },
		"301":   func(*harness) func(*hit) int { return always(301) },
		"404":   func(*harness) func(*hit) int { return always(404) },
		"reset": func(*harness) func(*hit) int { return always(0) },
		"down": func(h *harness) func(*hit) int {
			h.app.refuse(true)
			return always(0) // the open connections break
		},
		"hangs": func(*harness) func(*hit) int {
			return hang
		},
	} {
		for _, most := range []int{1, 10} {
			inBubble(t, func(d *Destination) { d.MaxEvents = most }, func(t *testing.T, h *harness) {
				delivered := h.happen(1, batchNames(20)...)
				h.advance(5 * time.Second)
				h.app.respond(answer(h))
				ids := h.happen(20, batchNames(100)...)
				h.advance(5 * time.Minute)
				before, attempts := len(h.app.requests()), h.attempts()
				h.advance(30 * time.Minute)
				require.InDelta(t, 60, h.attempts()-attempts, 25, "%s: one probe each 30 s", name)
				_, events := h.log.stored("app")
				require.LessOrEqual(t, len(events), 100, "%s: only the first attempts may defer", name)
				require.InDelta(t, len(ids), h.metric("waiting"), 1)
				require.Greater(t, h.metric("oldest_seconds"), 1800.0)
				require.InDelta(t, 1, h.metric("circuit_state", "state", "open")+
					h.metric("circuit_state", "state", "half_open"), 0)
				require.NotEmpty(t, h.lines.With(t, "destination circuit"))

				h.app.refuse(false)
				h.app.respond(always(200))
				h.advance(15 * time.Minute)
				require.Greater(t, len(h.app.requests()), before)
				h.requireOrder(append(delivered, ids...))
				h.requireDelivered()
			})
		}
	}
}

// attempts returns how many requests the deliverer has made.
func (h *harness) attempts() float64 {
	h.t.Helper()
	n := 0.0
	for _, r := range attemptReasons {
		n += h.metric("attempts_total", "reason", string(r))
	}
	return n
}

var attemptReasons = slices.DeleteFunc(store.DeliveryReasons(), func(r store.DeliveryReason) bool {
	return r == store.DeliveryGaveUp || r == store.DeliveryOverflow
})

// One event that always fails delays only the later events of its batch.
func TestAFailingEventIsDeferred(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		bad := h.happen(1, "bad")[0]
		h.app.respond(func(hit *hit) int {
			if hit.has(bad) {
				return 500
			}
			return 200
		})
		behind := h.happen(3, "bad")
		var others []string
		for range 120 {
			others = append(others, h.happen(1, batchNames(5)...)...)
			h.advance(time.Second)
		}
		require.ElementsMatch(t, others, h.app.received())
		require.Empty(t, h.lines.With(t, "destination circuit"))
		d, events := h.log.stored("app")
		require.Len(t, events, 4)
		require.Equal(t, 4, d.Deferred)
		require.Equal(t, bad, events[0].Event.ID())
		require.Greater(t, events[0].Attempts, 2)
		require.Equal(t, store.DeliveryServer, events[0].Reason)
		require.Contains(t, events[0].Detail, "HTTP 500")
		require.Zero(t, events[1].Attempts)
		backlog, err := h.log.EventBacklog(t.Context(), d.Cursor)
		require.NoError(t, err)
		require.LessOrEqual(t, backlog.Events, 5, "the cursor moves on")
		require.InDelta(t, 4, h.metric("waiting"), 5)
		require.InDelta(t, 4, h.metric("events_total", "result", "deferred"), 0)
		behind = append(behind, h.happen(1, "bad")...)
		h.advance(5 * time.Second)

		h.stop() // the state survives a restart
		h.start()
		h.app.respond(always(200))
		h.advance(2 * time.Minute)
		h.requireOrder(append(append(others, bad), behind...))
		h.requireDelivered()
	})
}

// If the circuit is open and only a deferred event that always fails is left, newer events probe the destination.
func TestADeferredEventDoesNotKeepTheCircuitOpen(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		bad := h.happen(1, "bad")[0]
		h.app.respond(func(hit *hit) int {
			if hit.has(bad) {
				return 500
			}
			return 200
		})
		h.advance(time.Minute)
		for range 5 {
			_, _ = h.deliverer.lanes[0].circuit.Execute(func() (struct{}, error) { return struct{}{}, errOutage })
		}
		require.InDelta(t, 1, h.metric("circuit_state", "state", "open"), 0)
		ids := h.happen(1, "new")
		h.advance(5 * time.Minute)
		require.Equal(t, ids, h.app.received())
		require.InDelta(t, 1, h.metric("circuit_state", "state", "closed"), 0)
	})
}

func TestGiveUp(t *testing.T) {
	inBubble(t, func(d *Destination) { d.GiveUp = time.Hour }, func(t *testing.T, h *harness) {
		bad := h.happen(1, "bad")[0]
		h.app.respond(func(hit *hit) int {
			if hit.has(bad) {
				return 422
			}
			return 200
		})
		behind := h.happen(2, "bad")
		h.advance(58 * time.Minute)
		require.Empty(t, h.app.received())
		h.advance(5 * time.Minute)
		require.Equal(t, behind, h.app.received(), "a dead event no longer delays its batch")
		d, events := h.log.stored("app")
		require.Equal(t, []int{0, 1}, []int{d.Deferred, d.Dead})
		require.True(t, events[0].Dead)
		require.Equal(t, store.DeliveryGaveUp, events[0].Reason)
		require.Contains(t, events[0].Detail, "rejected: HTTP 422")
		require.InDelta(t, 1, h.metric("dead"), 0)
		require.InDelta(t, 1, h.metric("events_total", "result", "dead"), 0)

		requests := len(h.app.requests())
		h.advance(24 * time.Hour)
		require.Len(t, h.app.requests(), requests)
		h.app.respond(always(200))
		n, err := h.log.RequeueEvents(t.Context(), "app", store.Now())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		h.advance(3 * time.Second)
		require.Equal(t, append(behind, bad), h.app.received())
		h.requireDelivered()
	})
}

// A requeue also makes the deferred events due, and ends the time that the application asked dlrloop to wait.
func TestRequeueEndsDelays(t *testing.T) {
	longDelays := func(d *Destination) { d.Backoff = relay.Backoff{Base: 24 * time.Hour, Cap: 24 * time.Hour} }
	inBubble(t, longDelays, func(t *testing.T, h *harness) {
		h.app.respond(always(422))
		ids := h.happen(2, "bad")
		h.advance(50 * time.Hour) // the next attempt is 10 hours later
		h.app.headers = func(_ *hit, header http.Header) { header.Set("Retry-After", "3600") }
		h.app.respond(always(429))
		ids = append(ids, h.happen(1, "another")...)
		h.advance(time.Minute)
		h.app.respond(always(200))
		h.advance(time.Minute)
		require.Empty(t, h.app.received())
		n, err := h.log.RequeueEvents(t.Context(), "app", store.Now())
		require.NoError(t, err)
		require.Zero(t, n, "no event was dead")
		h.advance(3 * time.Second)
		require.ElementsMatch(t, ids, h.app.received())
		h.requireDelivered()
	})
}

// A requeued event gets the whole time again, although it is old.
func TestRequeuedEventsGetTheWholeTime(t *testing.T) {
	inBubble(t, func(d *Destination) { d.GiveUp = time.Hour }, func(t *testing.T, h *harness) {
		h.app.respond(always(422))
		h.happen(1, "bad")
		h.advance(2 * time.Hour)
		for range 2 {
			d, _ := h.log.stored("app")
			require.Equal(t, 1, d.Dead)
			_, err := h.log.RequeueEvents(t.Context(), "app", store.Now())
			require.NoError(t, err)
			h.advance(58 * time.Minute)
			d, _ = h.log.stored("app")
			require.Equal(t, []int{1, 0}, []int{d.Deferred, d.Dead})
			h.advance(5 * time.Minute)
		}
	})
}

func TestRetryAfterHoldsTheDestination(t *testing.T) {
	for name, test := range map[string]struct {
		status      int
		header      string
		least, most time.Duration
	}{
		"429, seconds":     {429, "90", 90 * time.Second, 92 * time.Second},
		"429, a date":      {429, "Sat, 01 Jan 2000 00:02:00 GMT", 110 * time.Second, 121 * time.Second},
		"429, too long":    {429, "86400", time.Hour, time.Hour + 2*time.Second},
		"429 without":      {429, "", 0, 2 * time.Second},
		"503, seconds":     {503, "40", 40 * time.Second, 42 * time.Second},
		"503 over the cap": {503, "86400", time.Minute, 62 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(d *Destination) { d.Workers = 1 }, func(t *testing.T, h *harness) {
				h.app.headers = func(_ *hit, header http.Header) {
					if test.header != "" {
						header.Set("Retry-After", test.header)
					}
				}
				h.app.respond(func(hit *hit) int {
					if hit.number == 1 {
						return test.status
					}
					return 200
				})
				ids := h.happen(1, "a", "b", "c")
				h.advance(2 * time.Hour)
				hits := h.app.requests()
				require.Len(t, hits, 4)
				gap := hits[1].at.Sub(hits[0].at)
				require.GreaterOrEqual(t, gap, test.least)
				require.LessOrEqual(t, gap, test.most)
				h.requireOrder(ids)
			})
		})
	}
}

// Answers 429 defer no event, however many follow.
func TestRateLimitedEventsAreNotDeferred(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.app.respond(always(429))
		ids := h.happen(5, batchNames(5)...)
		h.advance(time.Hour)
		_, events := h.log.stored("app")
		require.Empty(t, events)
		require.Less(t, len(h.app.requests()), 1000, "the delay grows")
		require.InDelta(t, 1, h.metric("circuit_state", "state", "closed"), 0)
		h.app.respond(always(200))
		h.advance(10 * time.Minute)
		h.requireOrder(ids)
	})
}

func TestGonePausesTheDestination(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.app.respond(always(410))
		ids := h.happen(10, batchNames(3)...)
		h.advance(10 * time.Second)
		requests := len(h.app.requests())
		require.LessOrEqual(t, requests, 3)
		d, events := h.log.stored("app")
		require.False(t, d.PausedAt.IsZero())
		require.Empty(t, events)
		ids = append(ids, h.happen(10, batchNames(3)...)...)
		h.advance(100 * time.Hour)
		h.stop()
		h.start() // a restart does not end the pause
		h.advance(time.Hour)
		require.Len(t, h.app.requests(), requests)
		require.InDelta(t, 1, h.metric("paused"), 0)
		require.InDelta(t, 60, h.metric("waiting"), 0)
		logged := false
		for _, line := range h.lines.With(t, goneMessage) {
			logged = logged || line["level"] == "ERROR"
		}
		require.True(t, logged)

		h.app.respond(always(200))
		_, err := h.log.RequeueEvents(t.Context(), "app", store.Now())
		require.NoError(t, err)
		h.advance(10 * time.Second)
		require.Zero(t, h.metric("paused"))
		h.requireOrder(ids)
		h.requireDelivered()
	})
}
