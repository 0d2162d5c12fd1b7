package feedback

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/relay/relaytest"
	"github.com/dlrloop/dlrloop/store"
)

// Refused credentials pause the plan. No task becomes dead, however long the operator takes to correct them.
func TestRefusedCredentialsPauseThePlan(t *testing.T) {
	for status, code := range map[int]string{401: "unauthorized", 403: "blocked_account"} {
		inBubble(t, patient, func(t *testing.T, h *harness) {
			h.Upstream.AddBatch(batch1, true)
			h.Upstream.AddBatch("batch-2", true)
			h.Upstream.Fail(relaytest.PostFeedback, 1<<20, relaytest.Respond(status, `{"code":"`+code+`","text":"no"}`))
			h.RecordFlag(planA, batch1, true)
			h.RecordFlag(planA, "batch-2", true)
			h.RecordDelivered(planA, batch1, ada)
			h.Advance(6 * time.Minute)
			h.RecordDelivered(planA, "batch-2", bob)
			h.Advance(5 * time.Minute)
			require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 1, "the whole plan is paused")
			require.Len(t, h.Lines.With(t, refusesPlan), 1)
			require.Equal(t, store.ReasonAuth, h.Batch(planA, batch1).Task.Reason)

			h.Advance(10 * time.Hour)
			require.Equal(t, store.FeedbackOwed, h.Feedback(ada))
			paused := h.Lines.With(t, refusesPlan)
			require.InDelta(t, 10*6, len(paused), 6, "one log line per pause")
			require.Equal(t, "ERROR", paused[0]["level"])
			require.Empty(t, h.Lines.With(t, "plan resumed: Sinch accepts it again"))

			h.Upstream.Heal()
			h.Advance(time.Hour)
			require.Equal(t, store.FeedbackSent, h.Feedback(ada))
			require.Nil(t, h.Batch(planA, "batch-2").Task)
			require.Len(t, h.Lines.With(t, "plan resumed: Sinch accepts it again"), 1)
		})
	}
}

// An answer to a call that began before the pause does not end the pause.
func TestAnEarlierCallDoesNotEndAPause(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.Fail(relaytest.PostFeedback, 1, relaytest.RespondAfter(3*time.Second, relaytest.Respond(202, "")))
		h.Upstream.Fail(relaytest.PostFeedback, 1, relaytest.Respond(401, ""))
		h.oweFeedback(planA, 2)
		h.Advance(5 * time.Minute)
		require.Equal(t, 1, h.sent(planA))
		require.Empty(t, h.Lines.With(t, "plan resumed: Sinch accepts it again"))
		h.Advance(10 * time.Minute)
		require.Equal(t, 2, h.sent(planA))
		require.Len(t, h.Lines.With(t, "plan resumed: Sinch accepts it again"), 1)
	})
}

// A task that failed only because of the credentials is not old: its first other failure does not make it dead.
func TestAPauseDoesNotCountForGiveUp(t *testing.T) {
	inBubble(t, patient, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		h.Upstream.Fail(relaytest.PostFeedback, 1<<20, relaytest.Respond(401, ""))
		h.RecordFlag(planA, batch1, true)
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(10 * time.Hour)
		h.Upstream.Heal()
		h.Upstream.Fail(relaytest.PostFeedback, 1, relaytest.Respond(500, ""))
		h.Advance(2 * time.Hour)
		require.Equal(t, store.FeedbackSent, h.Feedback(ada))
	})
}

// A 403 concerns its batch alone: other batches are sent, and the batch is retried until it is given up.
func TestAForbiddenBatchDoesNotPauseThePlan(t *testing.T) {
	inBubble(t, patient, func(t *testing.T, h *harness) {
		h.Upstream.Forbid(batch1)
		h.Upstream.AddBatch(batch1, true)
		h.RecordFlag(planA, batch1, true)
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(10 * time.Minute)
		h.oweFeedback(planA, 50)
		h.Advance(10 * time.Minute)
		require.Equal(t, 50, h.sent(planA))
		require.Equal(t, store.ReasonForbidden, h.Batch(planA, batch1).Task.Reason)
		require.NotZero(t, h.Metric("feedback_calls_total", "plan", planA, "reason", "forbidden"))
		require.Zero(t, h.Metric("feedback_calls_total", "plan", planA, "reason", "auth"))
		require.Empty(t, h.Lines.With(t, refusesPlan))

		h.Advance(7 * time.Hour)
		require.Equal(t, store.ReasonForbidden, h.Batch(planA, batch1).Dead.Reason)
		require.Equal(t, store.FeedbackDead, h.Feedback(ada))
	})
}

// Many forbidden batches do not pause the plan while Sinch accepts others between them.
func TestForbiddenBatchesAmongOthers(t *testing.T) {
	inBubble(t, circuitOff, func(t *testing.T, h *harness) {
		h.oweFeedback(planA, 1)
		h.Advance(5 * time.Second)
		for i := range 30 {
			id := fmt.Sprint("forbidden-", i)
			h.Upstream.Forbid(id)
			h.RecordFlag(planA, id, true)
			h.RecordDelivered(planA, id, ada)
			good := fmt.Sprint("good-", i)
			h.Upstream.AddBatch(good, true)
			h.RecordFlag(planA, good, true)
			h.RecordDelivered(planA, good, ada)
			h.Advance(5 * time.Second)
		}
		require.Equal(t, 31, h.sent(planA))
		require.Empty(t, h.Lines.With(t, refusesPlan))
		h.Advance(2 * time.Hour)
		require.Empty(t, h.Lines.With(t, refusesPlan), "exempt batches do not count again")
	})
}

// If Sinch forbids one batch after another and accepts none, the plan is at fault and pauses.
func TestThePlanPausesWhenEveryBatchIsForbidden(t *testing.T) {
	for name, operation := range map[string]string{"feedback": relaytest.PostFeedback, "look-ups": relaytest.GetBatch} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, patient, func(t *testing.T, h *harness) {
				h.Upstream.Fail(operation, 1<<30, relaytest.Respond(403, `{"code":"unknown_campaign","text":"no"}`))
				for i := range 20 {
					id := fmt.Sprint("batch-", i)
					h.Upstream.AddBatch(id, true)
					h.RecordDelivered(planA, id, ada)
				}
				h.Advance(time.Hour)
				require.NotEmpty(t, h.Lines.With(t, refusesPlan))
				if operation == relaytest.PostFeedback {
					require.NotZero(t, h.Metric("feedback_calls_total", "plan", planA, "reason", "auth"))
				}
				h.Advance(10 * time.Hour)
				for i := range 20 {
					require.Nil(t, h.Batch(planA, fmt.Sprint("batch-", i)).Dead, "no task is dead")
				}
				require.Less(t, len(h.Upstream.Requests(operation)), 20*6*11)
				h.Upstream.Heal()
				h.Advance(2 * time.Hour)
				require.Equal(t, 20, h.sent(planA))
			})
		})
	}
}

// A web page comes from a proxy or a captive portal, whatever its status. It makes no feedback sent or dead.
func TestWebPagesAreRetried(t *testing.T) {
	page := "<html><body>Please sign in to the network</body></html>"
	for _, status := range []int{200, 202, 400, 401, 403, 404, 410, 421} {
		inBubble(t, nil, func(t *testing.T, h *harness) {
			h.Upstream.AddBatch(batch1, true)
			h.Upstream.Fail(relaytest.PostFeedback, 2, relaytest.Respond(status, page, "Content-Type", "text/html"))
			h.RecordDelivered(planA, batch1, ada)
			for h.Upstream.Accepted() == 0 {
				h.Advance(100 * time.Millisecond)
				if task := h.Batch(planA, batch1).Task; task != nil && task.Attempts > 0 {
					require.Equal(t, store.ReasonNetwork, task.Reason)
				}
			}
			h.Advance(time.Second)
			require.Equal(t, store.FeedbackSent, h.Feedback(ada))
			require.Equal(t, 2.0, h.Metric("feedback_calls_total", "plan", planA, "reason", "network"))
			require.Empty(t, h.Lines.With(t, refusesPlan))
		})
	}
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		h.Upstream.Fail(relaytest.GetBatch, 2, relaytest.Respond(200, page))
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(time.Minute)
		require.Equal(t, store.FeedbackSent, h.Feedback(ada), "a web page does not set the batch's flag")
	})
}

// An unknown plan is a configuration error: the plan pauses until an operator corrects it, and no task is dead.
func TestAnUnknownPlanPauses(t *testing.T) {
	for _, batches := range []int{1, 30} {
		inBubble(t, patient, func(t *testing.T, h *harness) {
			h.Upstream.FailAll(relaytest.Respond(404, `{"code":"not_found"}`))
			for i := range batches {
				id := fmt.Sprint("batch-", i)
				h.Upstream.AddBatch(id, true)
				h.RecordDelivered(planA, id, ada)
			}
			h.RecordFlag(planA, "batch-0", true) // this one is not looked up first
			h.Advance(10 * time.Minute)
			paused := h.Lines.With(t, unknownToPlan)
			require.Len(t, paused, 1)
			require.Equal(t, "ERROR", paused[0]["level"])
			require.Equal(t, store.ReasonUnknownPlan, h.Batch(planA, "batch-0").Task.Reason)
			require.NotZero(t, h.Metric("batch_lookups_total", "plan", planA, "result", "unknown_plan"))
			require.Zero(t, h.Metric("batch_lookups_total", "plan", planA, "result", "unknown"))

			h.Advance(10 * time.Hour)
			require.Less(t, len(h.Upstream.Requests("")), 12*6*11, "each pause lasts Backoff.Cap")
			for i := range batches {
				require.Nil(t, h.Batch(planA, fmt.Sprint("batch-", i)).Dead)
			}
			h.Upstream.Heal()
			h.Advance(2 * time.Hour)
			require.Equal(t, batches, h.sent(planA))
		})
	}
}

// If Sinch stops knowing a plan while dlrloop runs, the plan pauses after a few batches.
func TestAPlanThatBecomesUnknownPauses(t *testing.T) {
	inBubble(t, circuitOff, func(t *testing.T, h *harness) {
		h.oweFeedback(planA, 3)
		h.Advance(5 * time.Second)
		require.Equal(t, 3, h.sent(planA))
		h.Upstream.FailAll(relaytest.Respond(404, ""))
		for i := range 50 {
			h.RecordDelivered(planA, fmt.Sprint("batch-", i), ada)
		}
		h.Advance(time.Hour)
		stats, err := h.Store.Stats(t.Context())
		require.NoError(t, err)
		require.Less(t, stats[0].Feedback.Dead, 5+4)
		require.NotEmpty(t, h.Lines.With(t, unknownToPlan))
	})
}

// Unknown batches of a known plan are dead one by one.
func TestUnknownBatchesOfAKnownPlan(t *testing.T) {
	four := func(c *Config) { c.Plans[0].Workers = 4 }
	inBubble(t, four, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch("another", true)
		for i := range 30 {
			h.RecordDelivered(planA, fmt.Sprint("batch-", i), ada)
		}
		h.Advance(time.Minute)
		stats, err := h.Store.Stats(t.Context())
		require.NoError(t, err)
		require.Equal(t, 30, stats[0].Feedback.Dead)
		require.Empty(t, h.Lines.With(t, unknownToPlan))
		require.Less(t, len(h.Upstream.Requests(relaytest.ListBatches)), 20, "far fewer than batches")
	})
}
