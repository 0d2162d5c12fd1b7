package relay

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// One test for each row of the table "Feedback outcomes" in docs/architecture.md.

func TestAcceptedFeedbackIsSent(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.upstream.addBatch(batch1, true)
		h.recordFlag(planA, batch1, true)
		h.recordDelivered(planA, batch1, "+"+ada, bob)
		h.advance(5 * time.Second)

		calls := h.upstream.requests(postFeedback)
		require.Len(t, calls, 1)
		require.Equal(t, []string{ada, bob}, calls[0].recipients)
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
		require.Equal(t, store.FeedbackSent, h.feedback(bob))
		require.Nil(t, h.batch(planA, batch1).Task)
		require.Equal(t, 1.0, h.metric("feedback_calls_total", "plan", planA, "reason", "accepted"))

		h.advance(time.Hour)
		require.Len(t, h.upstream.requests(postFeedback), 1, "sent feedback is not sent again")
		require.Empty(t, h.upstream.requests(getBatch), "a batch known from the gateway is not looked up")
	})
}

// A temporary failure is retried until it succeeds, and the task shows the reason of the last attempt.
func TestTemporaryFailuresAreRetried(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		reason store.Reason
		detail string
	}{
		"500":               {respond(500, "oops"), store.ReasonServer, "500 Internal Server Error: oops"},
		"503":               {respond(503, `{"error":"down"}`), store.ReasonServer, "503 Service Unavailable: down"},
		"408":               {respond(408, ""), store.ReasonTimeout, "408 Request Timeout"},
		"302":               {respond(302, "", "Location", "/login"), store.ReasonNetwork, "302 Found"},
		"no answer in time": {respondAfter(time.Minute, respond(202, "")), store.ReasonTimeout, "deadline exceeded"},
		"no answer":         {nil, store.ReasonNetwork, "EOF"},
		"429":               {respond(429, ""), store.ReasonRateLimited, "429 Too Many Requests"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, h *harness) {
				h.upstream.addBatch(batch1, true)
				h.upstream.fail(postFeedback, 2, test.answer)
				h.recordFlag(planA, batch1, true)
				h.recordDelivered(planA, batch1, ada)
				for h.batch(planA, batch1).Task.Attempts < 1 {
					h.advance(100 * time.Millisecond)
				}
				task := h.batch(planA, batch1).Task
				assert.Equal(t, 1, task.Attempts)
				assert.Equal(t, test.reason, task.Reason)
				assert.Contains(t, task.Detail, test.detail)
				assert.Equal(t, store.FeedbackOwed, h.feedback(ada))

				h.advance(time.Minute)
				require.Equal(t, store.FeedbackSent, h.feedback(ada))
				require.Len(t, h.upstream.requests(postFeedback), 3)
				require.Equal(t, 2.0, h.metric("feedback_calls_total", "plan", planA, "reason", string(test.reason)))
				require.Equal(t, 1.0, h.metric("feedback_calls_total", "plan", planA, "reason", "accepted"))
			})
		})
	}
}

func TestARefusedConnectionIsRetried(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.recordFlag(planA, batch1, true)
		require.NoError(t, h.upstream.server.Close())
		h.recordDelivered(planA, batch1, ada)
		h.advance(3 * time.Second)
		require.Equal(t, store.ReasonNetwork, h.batch(planA, batch1).Task.Reason)
		require.Equal(t, store.FeedbackOwed, h.feedback(ada))
	})
}

// Attempts are spaced with full jitter. Every random number is 0.5 here, so the delays are half of 1 s, 2 s, 4 s and so
// on.
func TestAttemptsBackOff(t *testing.T) {
	inBubble(t, circuitOff, func(t *testing.T, h *harness) {
		h.upstream.addBatch(batch1, true)
		h.upstream.fail(postFeedback, 12, respond(500, ""))
		h.recordFlag(planA, batch1, true)
		h.recordDelivered(planA, batch1, ada)
		h.advance(2 * time.Hour)
		calls := h.upstream.requests(postFeedback)
		require.Len(t, calls, 13)
		for i := range 12 {
			planned := min(time.Second<<i, 10*time.Minute) / 2
			gap := calls[i+1].at.Sub(calls[i].at)
			require.GreaterOrEqual(t, gap, planned, "gap %d", i)
			require.LessOrEqual(t, gap, planned+time.Second, "gap %d", i)
		}
	})
}

func TestNotFoundAndDisabledIsDropped(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.upstream.addBatch(batch1, false)
		h.recordFlag(planA, batch1, true) // sent through the gateway with the flag; a later replace removed it
		h.recordDelivered(planA, batch1, ada)
		h.advance(time.Minute)

		b := h.batch(planA, batch1)
		require.Equal(t, store.FlagUnwanted, b.Flag)
		require.Nil(t, b.Task)
		require.Nil(t, b.Dead)
		require.Equal(t, store.FeedbackOwed, h.feedback(ada), "owed; shown as dropped")
		require.Equal(t, unwanted, h.log.with(t, "feedback attempt")[0]["detail"])
		require.Len(t, h.upstream.requests(postFeedback), 1)
		require.Len(t, h.upstream.requests(getBatch), 1)

		h.recordDelivered(planA, batch1, bob)
		h.advance(time.Hour)
		require.Len(t, h.upstream.requests(postFeedback), 1, "the flag is stored")
		require.Len(t, h.upstream.requests(getBatch), 1)
	})
}

func TestNotFoundAndUnknownIsDead(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.upstream.addBatch("another", true)
		h.recordFlag(planA, batch1, true)
		h.recordDelivered(planA, batch1, ada)
		h.advance(time.Minute)

		b := h.batch(planA, batch1)
		require.True(t, b.Facts.Missing)
		require.Nil(t, b.Task)
		require.Equal(t, store.ReasonNotEnabledOrUnknown, b.Dead.Reason)
		require.Equal(t, unknownToSinch, b.Dead.Detail)
		require.Equal(t, store.FeedbackDead, h.feedback(ada))
		require.Equal(t, 1.0, h.metric("batch_lookups_total", "plan", planA, "result", "missing"))
		require.Equal(t, 1.0, h.metric("feedback_calls_total", "plan", planA, "reason", "not_enabled_or_unknown"))
	})
}

func TestNotFoundAndEnabledIsRetried(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.upstream.addBatch(batch1, true)
		h.upstream.fail(postFeedback, 2, respond(404, ""))
		h.recordFlag(planA, batch1, true)
		h.recordDelivered(planA, batch1, ada)
		h.advance(time.Minute)
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
		require.Len(t, h.upstream.requests(postFeedback), 3)
		require.Len(t, h.upstream.requests(getBatch), 2)
	})

	inBubble(t, patient, func(t *testing.T, h *harness) {
		h.upstream.addBatch(batch1, true)
		h.upstream.fail(postFeedback, 1<<20, respond(404, ""))
		h.recordFlag(planA, batch1, true)
		h.recordDelivered(planA, batch1, ada)
		h.advance(71 * time.Hour)
		require.Equal(t, store.FeedbackOwed, h.feedback(ada))
		h.advance(2 * time.Hour)
		require.Equal(t, store.FeedbackDead, h.feedback(ada))
		require.Equal(t, enabledAfterAll, h.batch(planA, batch1).Dead.Detail)
	})
}

// If the look-up after a 404 fails, the task is retried.
func TestNotFoundAndNoAnswerIsRetried(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.upstream.fail(getBatch, 1, respond(500, ""))
		h.upstream.fail(postFeedback, 1, respond(404, ""))
		h.upstream.addBatch(batch1, true)
		h.recordFlag(planA, batch1, true)
		h.recordDelivered(planA, batch1, ada)
		h.advance(time.Minute)
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
		require.Equal(t, 1.0, h.metric("batch_lookups_total", "plan", planA, "result", "failed"))
	})
}

func TestRejectedFeedbackIsDead(t *testing.T) {
	for _, status := range []int{400, 405, 413, 415, 422} {
		inBubble(t, nil, func(t *testing.T, h *harness) {
			h.upstream.addBatch(batch1, true)
			h.upstream.fail(postFeedback, 1,
				respond(status, `{"code":"syntax_constraint_violation","text":"`+ada+` is no member"}`))
			h.recordFlag(planA, batch1, true)
			h.recordDelivered(planA, batch1, ada)
			h.advance(time.Hour)

			b := h.batch(planA, batch1)
			require.Nil(t, b.Task)
			require.Equal(t, store.ReasonRejected, b.Dead.Reason)
			require.Contains(t, b.Dead.Detail, "syntax_constraint_violation: 447*******18 is no member")
			require.NotContains(t, b.Dead.Detail, ada)
			require.Equal(t, store.FeedbackDead, h.feedback(ada))
			require.Len(t, h.upstream.requests(postFeedback), 1)

			// An operator requeues it.
			n, err := h.store.Requeue(t.Context(), b.Key(), now())
			require.NoError(t, err)
			require.Equal(t, 1, n)
			h.advance(time.Minute)
			require.Equal(t, store.FeedbackSent, h.feedback(ada))
			require.Nil(t, h.batch(planA, batch1).Dead)
		})
	}
}

func TestATaskThatFailsForThreeDaysIsDead(t *testing.T) {
	inBubble(t, patient, func(t *testing.T, h *harness) {
		h.upstream.addBatch(batch1, true)
		h.upstream.fail(postFeedback, 1<<20, respond(500, "still down"))
		h.recordFlag(planA, batch1, true)
		h.recordDelivered(planA, batch1, ada)
		h.advance(71 * time.Hour)
		require.Equal(t, store.FeedbackOwed, h.feedback(ada))
		h.advance(90 * time.Minute)
		b := h.batch(planA, batch1)
		require.Nil(t, b.Task)
		require.Equal(t, store.FeedbackDead, h.feedback(ada))
		require.Equal(t, store.ReasonServer, b.Dead.Reason)
		require.Contains(t, b.Dead.Detail, "still down")
		lines := h.log.with(t, "feedback attempt")
		require.Equal(t, "ERROR", lines[len(lines)-1]["level"])
	})
}

// patient polls rarely and disables the circuit breaker, for tests that span days.
func patient(c *Config) {
	circuitOff(c)
	c.Plans[0].PollInterval = 5 * time.Minute
}

func circuitOff(c *Config) { c.Plans[0].Circuit.Failures = 1 << 30 }
