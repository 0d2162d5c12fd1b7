package relay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// busy makes a call be in flight: an answer of 202 that takes d.
func (h *house) busy(d time.Duration) {
	h.t.Helper()
	h.upstream.knows(batch1, true)
	h.upstream.fail(postFeedback, 1, hangs(d, says(202, "")))
	h.flagged(planA, batch1, true)
	h.delivered(planA, batch1, ada)
	h.pass(1500 * time.Millisecond)
	require.Len(h.t, h.upstream.asked(postFeedback), 1)
	require.Equal(h.t, store.FeedbackOwed, h.feedback(ada))
}

func TestStoppingLetsACallFinish(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.busy(4 * time.Second)
		h.stop()
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
	})
}

func TestStoppingGivesBackWithoutCounting(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.busy(9 * time.Second)
		begin := time.Now()
		h.stop()
		require.Equal(t, 5*time.Second, time.Since(begin), "the grace and no longer")
		task := h.batch(planA, batch1).Task
		require.Equal(t, 0, task.Attempts)
		require.Empty(t, task.Reason)
		require.Equal(t, store.FeedbackOwed, h.feedback(ada))
		require.Equal(t, 1.0, h.counted("feedback_calls_total", "plan", planA, "reason", "canceled"))
		require.Equal(t, 1.0, h.counted("feedback_circuit_state", "plan", planA, "state", "closed"))

		claims, err := h.store.Claim(t.Context(), planA, now(), time.Minute, 1)
		require.NoError(t, err)
		require.Len(t, claims, 1, "it is due and nobody's")
	})
}

// A claim that comes back while the relay stops is given back without a call.
func TestStoppingBeginsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.upstream.knows(batch1, true)
		h.flagged(planA, batch1, true)
		h.delivered(planA, batch1, ada)
		h.pass(2 * time.Second)
		claims, err := h.store.Claim(t.Context(), planA, now(), time.Minute, 1)
		require.NoError(t, err)
		require.Len(t, claims, 1)

		ctx, stop := context.WithCancel(t.Context())
		stop()
		o := h.relay.lanes[0].work(ctx, t.Context(), claims[0], now())
		require.Equal(t, store.GivenBack, o.settlement.Outcome)
		require.Empty(t, h.upstream.calls)
		require.Equal(t, 0, h.batch(planA, batch1).Task.Attempts)
		claims, err = h.store.Claim(t.Context(), planA, now(), time.Minute, 1)
		require.NoError(t, err)
		require.Len(t, claims, 1, "it is due and nobody's")
	})
}

// An accepted call is settled once the store takes it, however long that is within the lease: the call is not repeated.
func TestSettlingIsTriedUntilItSucceeds(t *testing.T) {
	for name, kind := range map[string]storetest.Kind{"not applied": storetest.NotApplied, "applied": storetest.Applied} {
		for fault, err := range map[string]error{"busy": store.ErrBusy, "failing": nil} {
			t.Run(name+" "+fault, func(t *testing.T) {
				inHouse(t, nil, func(t *testing.T, h *house) {
					h.busy(2 * time.Second)
					h.store.FailRecord(kind, err, 12)
					h.pass(50 * time.Second)
					require.Equal(t, store.FeedbackSent, h.feedback(ada))
					h.pass(5 * time.Minute)
					require.Len(t, h.upstream.asked(postFeedback), 1)
				})
			})
		}
	}
}

func TestSettlingOutlivesStopping(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.busy(2 * time.Second)
		h.store.FailRecord(storetest.NotApplied, store.ErrBusy, 5)
		h.stop()
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
	})
}

// What cannot be settled at all is done again after the lease: once too often rather than never.
func TestALostSettlementRepeatsTheCall(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.busy(2 * time.Second)
		h.store.FailRecord(storetest.NotApplied, store.ErrBusy, storetest.Always)
		h.pass(59 * time.Second)
		require.Len(t, h.upstream.asked(postFeedback), 1)
		h.store.Heal()
		h.pass(10 * time.Second)
		require.Len(t, h.upstream.asked(postFeedback), 2)
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
		require.Len(t, h.log.with(t, "feedback attempt could not be recorded"), 1)
	})
}

// What a look-up told is kept before the look-up is settled; when it cannot be, the look-up is made again.
func TestALostAnswerIsAskedAgain(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, true)
		h.delivered(planA, batch1, ada)
		h.store.FailRecord(storetest.NotApplied, store.ErrBusy, storetest.Always)
		h.pass(65 * time.Second)
		h.store.Heal()
		h.pass(10 * time.Second)
		require.Len(t, h.upstream.asked(getBatch), 2)
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
	})
}

// A call never lasts longer than its lease, whatever the client's own bound is.
func TestACallEndsBeforeItsLease(t *testing.T) {
	short := func(c *Config) { c.Plans[0].Lease = 4 * time.Second }
	inHouse(t, short, func(t *testing.T, h *house) {
		h.busy(time.Hour)
		h.pass(2700 * time.Millisecond)
		require.Equal(t, store.ReasonTimeout, h.batch(planA, batch1).Task.Reason)
	})
}

func TestClaimsThatFailAreTriedAgain(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.store.Fail(storetest.Claim, storetest.NotApplied, nil, storetest.Always)
		h.upstream.knows(batch1, true)
		h.delivered(planA, batch1, ada)
		h.pass(time.Minute)
		require.Empty(t, h.upstream.calls)
		require.Len(t, h.log.with(t, "feedback tasks cannot be claimed"), 1, "said once")
		h.store.Heal()
		h.pass(5 * time.Second)
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
		require.Len(t, h.log.with(t, "feedback tasks can be claimed again"), 1)
	})
}

func TestAClosedStoreEndsTheRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(c *Config) { c.Plans = append(c.Plans, Plan{ID: planB}) })
		h.store.Fail(storetest.Claim, storetest.NotApplied, store.ErrClosed, 1)
		require.ErrorIs(t, h.relay.Run(t.Context()), store.ErrClosed)
	})
}

func TestARelayWithoutPlansWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(c *Config) { c.Plans = nil })
		h.start()
		h.pass(time.Hour)
		h.stop()
	})
}
