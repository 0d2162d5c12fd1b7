package feedback

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/relay/relaytest"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// startCall brings a feedback call into flight that Sinch answers with 202 after d.
func (h *harness) startCall(d time.Duration) {
	h.T.Helper()
	h.Upstream.AddBatch(batch1, true)
	h.Upstream.Fail(relaytest.PostFeedback, 1, relaytest.RespondAfter(d, relaytest.Respond(202, "")))
	h.RecordFlag(planA, batch1, true)
	h.RecordDelivered(planA, batch1, ada)
	h.Advance(1500 * time.Millisecond)
	require.Len(h.T, h.Upstream.Requests(relaytest.PostFeedback), 1)
	require.Equal(h.T, store.FeedbackOwed, h.Feedback(ada))
}

func TestStoppingLetsACallFinish(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.startCall(4 * time.Second)
		h.stop()
		require.Equal(t, store.FeedbackSent, h.Feedback(ada))
	})
}

func TestStoppingReleasesWithoutCountingTheAttempt(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.startCall(9 * time.Second)
		begin := time.Now()
		h.stop()
		require.Equal(t, 5*time.Second, time.Since(begin), "no longer than CallGrace")
		task := h.Batch(planA, batch1).Task
		require.Equal(t, 0, task.Attempts)
		require.Empty(t, task.Reason)
		require.Equal(t, store.FeedbackOwed, h.Feedback(ada))
		require.Equal(t, 1.0, h.Metric("feedback_calls_total", "plan", planA, "reason", "canceled"))
		require.Equal(t, 1.0, h.Metric("feedback_circuit_state", "plan", planA, "state", "closed"))

		claims, err := h.Store.Claim(t.Context(), planA, store.Now(), time.Minute, 1)
		require.NoError(t, err)
		require.Len(t, claims, 1, "the task is due and not leased")
	})
}

// A claim that returns while the relay stops is released without a call.
func TestStoppingStartsNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.Upstream.AddBatch(batch1, true)
		h.RecordFlag(planA, batch1, true)
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(2 * time.Second)
		claims, err := h.Store.Claim(t.Context(), planA, store.Now(), time.Minute, 1)
		require.NoError(t, err)
		require.Len(t, claims, 1)

		ctx, stop := context.WithCancel(t.Context())
		stop()
		o := h.relay.lanes[0].runTask(ctx, t.Context(), claims[0], store.Now())
		require.Equal(t, store.OutcomeReleased, o.settlement.Outcome)
		require.Empty(t, h.Upstream.Requests(""))
		require.Equal(t, 0, h.Batch(planA, batch1).Task.Attempts)
		claims, err = h.Store.Claim(t.Context(), planA, store.Now(), time.Minute, 1)
		require.NoError(t, err)
		require.Len(t, claims, 1, "the task is due and not leased")
	})
}

// The settlement of an accepted call is retried until the store accepts it or the lease ends, so that the call is not
// repeated.
func TestSettlingIsRetriedUntilItSucceeds(t *testing.T) {
	for name, kind := range map[string]storetest.Kind{"not applied": storetest.NotApplied, "applied": storetest.Applied} {
		for fault, err := range map[string]error{"busy": store.ErrBusy, "failing": nil} {
			t.Run(name+" "+fault, func(t *testing.T) {
				inBubble(t, nil, func(t *testing.T, h *harness) {
					h.startCall(2 * time.Second)
					h.Store.FailRecord(kind, err, 12)
					h.Advance(50 * time.Second)
					require.Equal(t, store.FeedbackSent, h.Feedback(ada))
					h.Advance(5 * time.Minute)
					require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 1)
				})
			})
		}
	}
}

func TestSettlingContinuesWhileStopping(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.startCall(2 * time.Second)
		h.Store.FailRecord(storetest.NotApplied, store.ErrBusy, 5)
		h.stop()
		require.Equal(t, store.FeedbackSent, h.Feedback(ada))
	})
}

// If a settlement cannot be recorded within the lease, the call is made again: once too often rather than never.
func TestALostSettlementRepeatsTheCall(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.startCall(2 * time.Second)
		h.Store.FailRecord(storetest.NotApplied, store.ErrBusy, storetest.Always)
		h.Advance(59 * time.Second)
		require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 1)
		h.Store.Heal()
		h.Advance(10 * time.Second)
		require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 2)
		require.Equal(t, store.FeedbackSent, h.Feedback(ada))
		require.Len(t, h.Lines.With(t, "feedback attempt could not be recorded"), 1)
	})
}

// The answer of a look-up is recorded before its settlement. If it cannot be recorded, the look-up is repeated.
func TestALostLookUpIsRepeated(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		h.RecordDelivered(planA, batch1, ada)
		h.Store.FailRecord(storetest.NotApplied, store.ErrBusy, storetest.Always)
		h.Advance(65 * time.Second)
		h.Store.Heal()
		h.Advance(10 * time.Second)
		require.Len(t, h.Upstream.Requests(relaytest.GetBatch), 2)
		require.Equal(t, store.FeedbackSent, h.Feedback(ada))
	})
}

// A call never outlasts its lease, whatever the timeout of the client.
func TestACallEndsBeforeItsLease(t *testing.T) {
	short := func(c *Config) { c.Plans[0].Lease = 4 * time.Second }
	inBubble(t, short, func(t *testing.T, h *harness) {
		h.startCall(time.Hour)
		h.Advance(2700 * time.Millisecond)
		require.Equal(t, store.ReasonTimeout, h.Batch(planA, batch1).Task.Reason)
	})
}

func TestFailedClaimsAreRetried(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Store.Fail(storetest.Claim, storetest.NotApplied, nil, storetest.Always)
		h.Upstream.AddBatch(batch1, true)
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(time.Minute)
		require.Empty(t, h.Upstream.Requests(""))
		require.Len(t, h.Lines.With(t, "feedback tasks cannot be claimed"), 1, "logged once")
		h.Store.Heal()
		h.Advance(5 * time.Second)
		require.Equal(t, store.FeedbackSent, h.Feedback(ada))
		require.Len(t, h.Lines.With(t, "feedback tasks can be claimed again"), 1)
	})
}

func TestAClosedStoreEndsTheRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, func(c *Config) { c.Plans = append(c.Plans, Plan{ID: planB}) })
		h.Store.Fail(storetest.Claim, storetest.NotApplied, store.ErrClosed, 1)
		require.ErrorIs(t, h.relay.Run(t.Context()), store.ErrClosed)
	})
}

func TestARelayWithoutPlansWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, func(c *Config) { c.Plans = nil })
		h.start()
		h.Advance(time.Hour)
		h.stop()
	})
}
