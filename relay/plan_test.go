package relay

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// Refused credentials pause the plan and kill nothing, however long a person needs to mend them.
func TestRefusedCredentialsPauseThePlan(t *testing.T) {
	for status, code := range map[int]string{401: "unauthorized", 403: "blocked_account"} {
		inHouse(t, patient, func(t *testing.T, h *house) {
			h.upstream.knows(batch1, true)
			h.upstream.knows("batch-2", true)
			h.upstream.fail(postFeedback, 1<<20, says(status, `{"code":"`+code+`","text":"no"}`))
			h.flagged(planA, batch1, true)
			h.flagged(planA, "batch-2", true)
			h.delivered(planA, batch1, ada)
			h.pass(6 * time.Minute)
			h.delivered(planA, "batch-2", bob)
			h.pass(5 * time.Minute)
			require.Len(t, h.upstream.asked(postFeedback), 1, "the whole plan waits")
			require.Len(t, h.log.with(t, refusesPlan), 1)
			require.Equal(t, store.ReasonAuth, h.batch(planA, batch1).Task.Reason)

			h.pass(100 * time.Hour)
			require.Equal(t, store.FeedbackOwed, h.feedback(ada))
			paused := h.log.with(t, refusesPlan)
			require.InDelta(t, 100*6, len(paused), 60, "one line a pause")
			require.Equal(t, "ERROR", paused[0]["level"])
			require.Len(t, h.log.with(t, "plan resumed: Sinch accepts it again"), 0)

			h.upstream.heal()
			h.pass(time.Hour)
			require.Equal(t, store.FeedbackSent, h.feedback(ada))
			require.Nil(t, h.batch(planA, "batch-2").Task)
			require.Len(t, h.log.with(t, "plan resumed: Sinch accepts it again"), 1)
		})
	}
}

// An answer to a call made before the pause does not end it.
func TestAPauseLasts(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.fail(postFeedback, 1, hangs(3*time.Second, says(202, "")))
		h.upstream.fail(postFeedback, 1, says(401, ""))
		h.manyBatches(planA, 2)
		h.pass(5 * time.Minute)
		require.Equal(t, 1, h.sent(planA))
		require.Empty(t, h.log.with(t, "plan resumed: Sinch accepts it again"))
		h.pass(10 * time.Minute)
		require.Equal(t, 2, h.sent(planA))
		require.Len(t, h.log.with(t, "plan resumed: Sinch accepts it again"), 1)
	})
}

// What failed only for want of credentials has not been tried: its first failure after that does not end it.
func TestAPauseDoesNotUseUpTheTime(t *testing.T) {
	inHouse(t, patient, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, true)
		h.upstream.fail(postFeedback, 1<<20, says(401, ""))
		h.flagged(planA, batch1, true)
		h.delivered(planA, batch1, ada)
		h.pass(100 * time.Hour)
		h.upstream.heal()
		h.upstream.fail(postFeedback, 1, says(500, ""))
		h.pass(2 * time.Hour)
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
	})
}

// A 403 is about its batch: the others are sent, and it is retried by itself until it is given up.
func TestAForbiddenBatchIsAlone(t *testing.T) {
	inHouse(t, patient, func(t *testing.T, h *house) {
		h.upstream.forbids(batch1)
		h.upstream.knows(batch1, true)
		h.flagged(planA, batch1, true)
		h.delivered(planA, batch1, ada)
		h.pass(10 * time.Minute)
		h.manyBatches(planA, 50)
		h.pass(10 * time.Minute)
		require.Equal(t, 50, h.sent(planA))
		require.Equal(t, store.ReasonForbidden, h.batch(planA, batch1).Task.Reason)
		require.NotZero(t, h.counted("feedback_calls_total", "plan", planA, "reason", "forbidden"))
		require.Zero(t, h.counted("feedback_calls_total", "plan", planA, "reason", "auth"))
		require.Empty(t, h.log.with(t, refusesPlan))

		h.pass(74 * time.Hour)
		require.Equal(t, store.ReasonForbidden, h.batch(planA, batch1).Dead.Reason)
		require.Equal(t, store.FeedbackDead, h.feedback(ada))
	})
}

// Several batches that are forbidden each for itself stop the plan no more than one does.
func TestForbiddenBatchesAmongOthers(t *testing.T) {
	inHouse(t, circuitOff, func(t *testing.T, h *house) {
		h.manyBatches(planA, 1)
		h.pass(5 * time.Second)
		for i := range 30 {
			id := fmt.Sprint("forbidden-", i)
			h.upstream.forbids(id)
			h.flagged(planA, id, true)
			h.delivered(planA, id, ada)
			good := fmt.Sprint("good-", i)
			h.upstream.knows(good, true)
			h.flagged(planA, good, true)
			h.delivered(planA, good, ada)
			h.pass(5 * time.Second)
		}
		require.Equal(t, 31, h.sent(planA))
		require.Empty(t, h.log.with(t, refusesPlan))
		h.pass(2 * time.Hour)
		require.Empty(t, h.log.with(t, refusesPlan), "those that are known to be alone do not count again")
	})
}

// When Sinch forbids one batch after another and accepts none, it is the plan that it refuses.
func TestEveryBatchForbiddenIsThePlan(t *testing.T) {
	for name, operation := range map[string]string{"feedback": postFeedback, "look-ups": getBatch} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, patient, func(t *testing.T, h *house) {
				h.upstream.fail(operation, 1<<30, says(403, `{"code":"unknown_campaign","text":"no"}`))
				for i := range 20 {
					id := fmt.Sprint("batch-", i)
					h.upstream.knows(id, true)
					h.delivered(planA, id, ada)
				}
				h.pass(time.Hour)
				require.NotEmpty(t, h.log.with(t, refusesPlan))
				if operation == postFeedback {
					require.NotZero(t, h.counted("feedback_calls_total", "plan", planA, "reason", "auth"))
				}
				h.pass(100 * time.Hour)
				for i := range 20 {
					require.Nil(t, h.batch(planA, fmt.Sprint("batch-", i)).Dead, "none dies of it")
				}
				require.Less(t, len(h.upstream.asked(operation)), 20*6*101)
				h.upstream.heal()
				h.pass(2 * time.Hour)
				require.Equal(t, 20, h.sent(planA))
			})
		})
	}
}

// A web page is the answer of a proxy or a captive portal, whatever its status: nobody is sent or dead for it.
func TestWebPagesAreRetried(t *testing.T) {
	page := "<html><body>Please sign in to the network</body></html>"
	for _, status := range []int{200, 202, 400, 401, 403, 404, 410, 421} {
		inHouse(t, nil, func(t *testing.T, h *house) {
			h.upstream.knows(batch1, true)
			h.upstream.fail(postFeedback, 2, says(status, page, "Content-Type", "text/html"))
			h.delivered(planA, batch1, ada)
			for h.upstream.accepted() == 0 {
				h.pass(100 * time.Millisecond)
				if task := h.batch(planA, batch1).Task; task != nil && task.Attempts > 0 {
					require.Equal(t, store.ReasonNetwork, task.Reason)
				}
			}
			h.pass(time.Second)
			require.Equal(t, store.FeedbackSent, h.feedback(ada))
			require.Equal(t, 2.0, h.counted("feedback_calls_total", "plan", planA, "reason", "network"))
			require.Empty(t, h.log.with(t, refusesPlan))
		})
	}
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, true)
		h.upstream.fail(getBatch, 2, says(200, page))
		h.delivered(planA, batch1, ada)
		h.pass(time.Minute)
		require.Equal(t, store.FeedbackSent, h.feedback(ada), "a page says nothing of the batch")
	})
}

// An unknown plan is a fault of the configuration: the plan waits for a person, and nothing dies of it.
func TestAnUnknownPlanPausesIt(t *testing.T) {
	for _, batches := range []int{1, 30} {
		inHouse(t, patient, func(t *testing.T, h *house) {
			h.upstream.failAll(says(404, `{"code":"not_found"}`))
			for i := range batches {
				id := fmt.Sprint("batch-", i)
				h.upstream.knows(id, true)
				h.delivered(planA, id, ada)
			}
			h.flagged(planA, "batch-0", true) // this one is not looked up first
			h.pass(10 * time.Minute)
			paused := h.log.with(t, unknownToPlan)
			require.Len(t, paused, 1)
			require.Equal(t, "ERROR", paused[0]["level"])
			require.Equal(t, store.ReasonUnknownPlan, h.batch(planA, "batch-0").Task.Reason)
			require.NotZero(t, h.counted("batch_lookups_total", "plan", planA, "result", "unknown_plan"))
			require.Zero(t, h.counted("batch_lookups_total", "plan", planA, "result", "missing"))

			h.pass(100 * time.Hour)
			require.Less(t, len(h.upstream.calls), 12*6*101, "the plan pauses for the longest back-off")
			for i := range batches {
				require.Nil(t, h.batch(planA, fmt.Sprint("batch-", i)).Dead)
			}
			h.upstream.heal()
			h.pass(2 * time.Hour)
			require.Equal(t, batches, h.sent(planA))
		})
	}
}

// A plan that Sinch forgets while dlrloop runs is noticed after a few batches.
func TestAPlanThatSinchForgets(t *testing.T) {
	inHouse(t, circuitOff, func(t *testing.T, h *house) {
		h.manyBatches(planA, 3)
		h.pass(5 * time.Second)
		require.Equal(t, 3, h.sent(planA))
		h.upstream.failAll(says(404, ""))
		for i := range 50 {
			h.delivered(planA, fmt.Sprint("batch-", i), ada)
		}
		h.pass(time.Hour)
		stats, err := h.store.Stats(t.Context())
		require.NoError(t, err)
		require.Less(t, stats[0].Feedback.Dead, several+4)
		require.NotEmpty(t, h.log.with(t, unknownToPlan))
	})
}

// Batches that Sinch does not know, of a plan that it knows, are dead one by one.
func TestUnknownBatchesOfAKnownPlan(t *testing.T) {
	four := func(c *Config) { c.Plans[0].Workers = 4 }
	inHouse(t, four, func(t *testing.T, h *house) {
		h.upstream.knows("another", true)
		for i := range 30 {
			h.delivered(planA, fmt.Sprint("batch-", i), ada)
		}
		h.pass(time.Minute)
		stats, err := h.store.Stats(t.Context())
		require.NoError(t, err)
		require.Equal(t, 30, stats[0].Feedback.Dead)
		require.Empty(t, h.log.with(t, unknownToPlan))
		require.Less(t, len(h.upstream.asked(listBatches)), 20, "far fewer than batches; how many depends on who goes first")
	})
}

// The reconciler follows the same rules: one forbidden batch keeps no other waiting.
func TestTheReconcilerAndForbiddenBatches(t *testing.T) {
	inReconciledHouse(t, func(t *testing.T, h *house) {
		h.upstream.fail(getReport, 1, says(403, `{"code":"conflict"}`))
		h.went(batch1)
		h.pass(time.Second)
		for i := range 10 {
			h.went(fmt.Sprint("batch-", i))
		}
		h.pass(time.Hour + 2*time.Minute)
		require.Len(t, h.upstream.asked(getReport), 11)
		require.Equal(t, 1, h.batch(planA, batch1).Check.Asked, "it is asked after later")
		require.Equal(t, 1.0, h.counted("reconcile_reads_total", "plan", planA, "reason", "forbidden"))
		require.Zero(t, h.counted("reconcile_reads_total", "plan", planA, "reason", "auth"))
	})
	inReconciledHouse(t, func(t *testing.T, h *house) {
		h.upstream.fail(getReport, 1<<30, says(403, `{"code":"conflict"}`))
		for i := range 50 {
			h.went(fmt.Sprint("batch-", i))
		}
		h.pass(time.Hour + 5*time.Minute)
		require.Len(t, h.upstream.asked(getReport), several, "then the plan waits")
		require.Equal(t, 1.0, h.counted("reconcile_reads_total", "plan", planA, "reason", "auth"))
	})
}

func TestTheReconcilerAndAnUnknownPlan(t *testing.T) {
	inReconciledHouse(t, func(t *testing.T, h *house) {
		h.upstream.failAll(says(404, ""))
		for i := range 50 {
			h.went(fmt.Sprint("batch-", i))
		}
		h.pass(time.Hour + 5*time.Minute)
		require.Len(t, h.upstream.asked(getReport), 1)
		require.Equal(t, 1.0, h.counted("reconcile_reads_total", "plan", planA, "reason", "unknown_plan"))
		require.False(t, h.batch(planA, "batch-0").Facts.Missing)
	})
}
