package relay

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// Refused credentials pause the plan. No task becomes dead, however long the operator takes to correct them.
func TestRefusedCredentialsPauseThePlan(t *testing.T) {
	for status, code := range map[int]string{401: "unauthorized", 403: "blocked_account"} {
		inBubble(t, patient, func(t *testing.T, h *harness) {
			h.upstream.addBatch(batch1, true)
			h.upstream.addBatch("batch-2", true)
			h.upstream.fail(postFeedback, 1<<20, respond(status, `{"code":"`+code+`","text":"no"}`))
			h.recordFlag(planA, batch1, true)
			h.recordFlag(planA, "batch-2", true)
			h.recordDelivered(planA, batch1, ada)
			h.advance(6 * time.Minute)
			h.recordDelivered(planA, "batch-2", bob)
			h.advance(5 * time.Minute)
			require.Len(t, h.upstream.requests(postFeedback), 1, "the whole plan is paused")
			require.Len(t, h.log.with(t, refusesPlan), 1)
			require.Equal(t, store.ReasonAuth, h.batch(planA, batch1).Task.Reason)

			h.advance(100 * time.Hour)
			require.Equal(t, store.FeedbackOwed, h.feedback(ada))
			paused := h.log.with(t, refusesPlan)
			require.InDelta(t, 100*6, len(paused), 60, "one log line per pause")
			require.Equal(t, "ERROR", paused[0]["level"])
			require.Len(t, h.log.with(t, "plan resumed: Sinch accepts it again"), 0)

			h.upstream.heal()
			h.advance(time.Hour)
			require.Equal(t, store.FeedbackSent, h.feedback(ada))
			require.Nil(t, h.batch(planA, "batch-2").Task)
			require.Len(t, h.log.with(t, "plan resumed: Sinch accepts it again"), 1)
		})
	}
}

// An answer to a call that began before the pause does not end the pause.
func TestAnEarlierCallDoesNotEndAPause(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.upstream.fail(postFeedback, 1, respondAfter(3*time.Second, respond(202, "")))
		h.upstream.fail(postFeedback, 1, respond(401, ""))
		h.oweFeedback(planA, 2)
		h.advance(5 * time.Minute)
		require.Equal(t, 1, h.sent(planA))
		require.Empty(t, h.log.with(t, "plan resumed: Sinch accepts it again"))
		h.advance(10 * time.Minute)
		require.Equal(t, 2, h.sent(planA))
		require.Len(t, h.log.with(t, "plan resumed: Sinch accepts it again"), 1)
	})
}

// A task that failed only because of the credentials is not old: its first other failure does not make it dead.
func TestAPauseDoesNotCountForGiveUp(t *testing.T) {
	inBubble(t, patient, func(t *testing.T, h *harness) {
		h.upstream.addBatch(batch1, true)
		h.upstream.fail(postFeedback, 1<<20, respond(401, ""))
		h.recordFlag(planA, batch1, true)
		h.recordDelivered(planA, batch1, ada)
		h.advance(100 * time.Hour)
		h.upstream.heal()
		h.upstream.fail(postFeedback, 1, respond(500, ""))
		h.advance(2 * time.Hour)
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
	})
}

// A 403 concerns its batch alone: other batches are sent, and the batch is retried until it is given up.
func TestAForbiddenBatchDoesNotPauseThePlan(t *testing.T) {
	inBubble(t, patient, func(t *testing.T, h *harness) {
		h.upstream.forbid(batch1)
		h.upstream.addBatch(batch1, true)
		h.recordFlag(planA, batch1, true)
		h.recordDelivered(planA, batch1, ada)
		h.advance(10 * time.Minute)
		h.oweFeedback(planA, 50)
		h.advance(10 * time.Minute)
		require.Equal(t, 50, h.sent(planA))
		require.Equal(t, store.ReasonForbidden, h.batch(planA, batch1).Task.Reason)
		require.NotZero(t, h.metric("feedback_calls_total", "plan", planA, "reason", "forbidden"))
		require.Zero(t, h.metric("feedback_calls_total", "plan", planA, "reason", "auth"))
		require.Empty(t, h.log.with(t, refusesPlan))

		h.advance(74 * time.Hour)
		require.Equal(t, store.ReasonForbidden, h.batch(planA, batch1).Dead.Reason)
		require.Equal(t, store.FeedbackDead, h.feedback(ada))
	})
}

// Many forbidden batches do not pause the plan while Sinch accepts others between them.
func TestForbiddenBatchesAmongOthers(t *testing.T) {
	inBubble(t, circuitOff, func(t *testing.T, h *harness) {
		h.oweFeedback(planA, 1)
		h.advance(5 * time.Second)
		for i := range 30 {
			id := fmt.Sprint("forbidden-", i)
			h.upstream.forbid(id)
			h.recordFlag(planA, id, true)
			h.recordDelivered(planA, id, ada)
			good := fmt.Sprint("good-", i)
			h.upstream.addBatch(good, true)
			h.recordFlag(planA, good, true)
			h.recordDelivered(planA, good, ada)
			h.advance(5 * time.Second)
		}
		require.Equal(t, 31, h.sent(planA))
		require.Empty(t, h.log.with(t, refusesPlan))
		h.advance(2 * time.Hour)
		require.Empty(t, h.log.with(t, refusesPlan), "exempt batches do not count again")
	})
}

// If Sinch forbids one batch after another and accepts none, the plan is at fault and pauses.
func TestThePlanPausesWhenEveryBatchIsForbidden(t *testing.T) {
	for name, operation := range map[string]string{"feedback": postFeedback, "look-ups": getBatch} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, patient, func(t *testing.T, h *harness) {
				h.upstream.fail(operation, 1<<30, respond(403, `{"code":"unknown_campaign","text":"no"}`))
				for i := range 20 {
					id := fmt.Sprint("batch-", i)
					h.upstream.addBatch(id, true)
					h.recordDelivered(planA, id, ada)
				}
				h.advance(time.Hour)
				require.NotEmpty(t, h.log.with(t, refusesPlan))
				if operation == postFeedback {
					require.NotZero(t, h.metric("feedback_calls_total", "plan", planA, "reason", "auth"))
				}
				h.advance(100 * time.Hour)
				for i := range 20 {
					require.Nil(t, h.batch(planA, fmt.Sprint("batch-", i)).Dead, "no task is dead")
				}
				require.Less(t, len(h.upstream.requests(operation)), 20*6*101)
				h.upstream.heal()
				h.advance(2 * time.Hour)
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
			h.upstream.addBatch(batch1, true)
			h.upstream.fail(postFeedback, 2, respond(status, page, "Content-Type", "text/html"))
			h.recordDelivered(planA, batch1, ada)
			for h.upstream.accepted() == 0 {
				h.advance(100 * time.Millisecond)
				if task := h.batch(planA, batch1).Task; task != nil && task.Attempts > 0 {
					require.Equal(t, store.ReasonNetwork, task.Reason)
				}
			}
			h.advance(time.Second)
			require.Equal(t, store.FeedbackSent, h.feedback(ada))
			require.Equal(t, 2.0, h.metric("feedback_calls_total", "plan", planA, "reason", "network"))
			require.Empty(t, h.log.with(t, refusesPlan))
		})
	}
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.upstream.addBatch(batch1, true)
		h.upstream.fail(getBatch, 2, respond(200, page))
		h.recordDelivered(planA, batch1, ada)
		h.advance(time.Minute)
		require.Equal(t, store.FeedbackSent, h.feedback(ada), "a web page does not set the batch's flag")
	})
}

// An unknown plan is a configuration error: the plan pauses until an operator corrects it, and no task is dead.
func TestAnUnknownPlanPauses(t *testing.T) {
	for _, batches := range []int{1, 30} {
		inBubble(t, patient, func(t *testing.T, h *harness) {
			h.upstream.failAll(respond(404, `{"code":"not_found"}`))
			for i := range batches {
				id := fmt.Sprint("batch-", i)
				h.upstream.addBatch(id, true)
				h.recordDelivered(planA, id, ada)
			}
			h.recordFlag(planA, "batch-0", true) // this one is not looked up first
			h.advance(10 * time.Minute)
			paused := h.log.with(t, unknownToPlan)
			require.Len(t, paused, 1)
			require.Equal(t, "ERROR", paused[0]["level"])
			require.Equal(t, store.ReasonUnknownPlan, h.batch(planA, "batch-0").Task.Reason)
			require.NotZero(t, h.metric("batch_lookups_total", "plan", planA, "result", "unknown_plan"))
			require.Zero(t, h.metric("batch_lookups_total", "plan", planA, "result", "missing"))

			h.advance(100 * time.Hour)
			require.Less(t, len(h.upstream.calls), 12*6*101, "each pause lasts Backoff.Cap")
			for i := range batches {
				require.Nil(t, h.batch(planA, fmt.Sprint("batch-", i)).Dead)
			}
			h.upstream.heal()
			h.advance(2 * time.Hour)
			require.Equal(t, batches, h.sent(planA))
		})
	}
}

// If Sinch stops knowing a plan while dlrloop runs, the plan pauses after a few batches.
func TestAPlanThatBecomesUnknownPauses(t *testing.T) {
	inBubble(t, circuitOff, func(t *testing.T, h *harness) {
		h.oweFeedback(planA, 3)
		h.advance(5 * time.Second)
		require.Equal(t, 3, h.sent(planA))
		h.upstream.failAll(respond(404, ""))
		for i := range 50 {
			h.recordDelivered(planA, fmt.Sprint("batch-", i), ada)
		}
		h.advance(time.Hour)
		stats, err := h.store.Stats(t.Context())
		require.NoError(t, err)
		require.Less(t, stats[0].Feedback.Dead, refusalLimit+4)
		require.NotEmpty(t, h.log.with(t, unknownToPlan))
	})
}

// Unknown batches of a known plan are dead one by one.
func TestUnknownBatchesOfAKnownPlan(t *testing.T) {
	four := func(c *Config) { c.Plans[0].Workers = 4 }
	inBubble(t, four, func(t *testing.T, h *harness) {
		h.upstream.addBatch("another", true)
		for i := range 30 {
			h.recordDelivered(planA, fmt.Sprint("batch-", i), ada)
		}
		h.advance(time.Minute)
		stats, err := h.store.Stats(t.Context())
		require.NoError(t, err)
		require.Equal(t, 30, stats[0].Feedback.Dead)
		require.Empty(t, h.log.with(t, unknownToPlan))
		require.Less(t, len(h.upstream.requests(listBatches)), 20, "far fewer than batches")
	})
}

// The reconciler follows the same rules: one forbidden batch does not delay the others.
func TestTheReconcilerAndForbiddenBatches(t *testing.T) {
	inBubbleWithReconciler(t, func(t *testing.T, h *harness) {
		h.upstream.fail(getReport, 1, respond(403, `{"code":"conflict"}`))
		h.recordBatch(batch1)
		h.advance(time.Second)
		for i := range 10 {
			h.recordBatch(fmt.Sprint("batch-", i))
		}
		h.advance(time.Hour + 2*time.Minute)
		require.Len(t, h.upstream.requests(getReport), 11)
		require.Equal(t, 1, h.batch(planA, batch1).Check.Asked, "its read is postponed")
		require.Equal(t, 1.0, h.metric("reconcile_reads_total", "plan", planA, "reason", "forbidden"))
		require.Zero(t, h.metric("reconcile_reads_total", "plan", planA, "reason", "auth"))
	})
	inBubbleWithReconciler(t, func(t *testing.T, h *harness) {
		h.upstream.fail(getReport, 1<<30, respond(403, `{"code":"conflict"}`))
		for i := range 50 {
			h.recordBatch(fmt.Sprint("batch-", i))
		}
		h.advance(time.Hour + 5*time.Minute)
		require.Len(t, h.upstream.requests(getReport), refusalLimit, "then the plan pauses")
		require.Equal(t, 1.0, h.metric("reconcile_reads_total", "plan", planA, "reason", "auth"))
	})
}

func TestTheReconcilerAndAnUnknownPlan(t *testing.T) {
	inBubbleWithReconciler(t, func(t *testing.T, h *harness) {
		h.upstream.failAll(respond(404, ""))
		for i := range 50 {
			h.recordBatch(fmt.Sprint("batch-", i))
		}
		h.advance(time.Hour + 5*time.Minute)
		require.Len(t, h.upstream.requests(getReport), 1)
		require.Equal(t, 1.0, h.metric("reconcile_reads_total", "plan", planA, "reason", "unknown_plan"))
		require.False(t, h.batch(planA, "batch-0").Facts.Missing)
	})
}
