package feedback

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/relay/relaytest"
	"github.com/dlrloop/dlrloop/store"
)

// One test for each row of the table "Feedback outcomes" in docs/architecture.md.

func TestAcceptedFeedbackIsSent(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		h.RecordFlag(planA, batch1, true)
		h.RecordDelivered(planA, batch1, "+"+ada, bob)
		h.Advance(5 * time.Second)

		calls := h.Upstream.Requests(relaytest.PostFeedback)
		require.Len(t, calls, 1)
		require.Equal(t, []string{ada, bob}, calls[0].Recipients)
		require.Equal(t, store.FeedbackSent, h.Feedback(ada))
		require.Equal(t, store.FeedbackSent, h.Feedback(bob))
		require.Nil(t, h.Batch(planA, batch1).Task)
		require.Equal(t, 1.0, h.Metric("feedback_calls_total", "plan", planA, "reason", "accepted"))

		h.Advance(time.Hour)
		require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 1, "sent feedback is not sent again")
		require.Empty(t, h.Upstream.Requests(relaytest.GetBatch), "a batch known from the gateway is not looked up")
	})
}

// A temporary failure is retried until it succeeds, and the task shows the reason of the last attempt.
func TestTemporaryFailuresAreRetried(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		reason store.Reason
		detail string
	}{
		"500": {relaytest.Respond(500, "oops"), store.ReasonServer, "500 Internal Server Error: oops"},
		"503": {relaytest.Respond(503, `{"error":"down"}`), store.ReasonServer, "503 Service Unavailable: down"},
		"408": {relaytest.Respond(408, ""), store.ReasonTimeout, "408 Request Timeout"},
		"302": {relaytest.Respond(302, "", "Location", "/login"), store.ReasonNetwork, "302 Found"},
		"no answer in time": {
			relaytest.RespondAfter(time.Minute, relaytest.Respond(202, "")), store.ReasonTimeout, "deadline exceeded",
		},
		"no answer": {nil, store.ReasonNetwork, "EOF"},
		"429":       {relaytest.Respond(429, ""), store.ReasonRateLimited, "429 Too Many Requests"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, h *harness) {
				h.Upstream.AddBatch(batch1, true)
				h.Upstream.Fail(relaytest.PostFeedback, 2, test.answer)
				h.RecordFlag(planA, batch1, true)
				h.RecordDelivered(planA, batch1, ada)
				for h.Batch(planA, batch1).Task.Attempts < 1 {
					h.Advance(100 * time.Millisecond)
				}
				task := h.Batch(planA, batch1).Task
				assert.Equal(t, 1, task.Attempts)
				assert.Equal(t, test.reason, task.Reason)
				assert.Contains(t, task.Detail, test.detail)
				assert.Equal(t, store.FeedbackOwed, h.Feedback(ada))

				h.Advance(time.Minute)
				require.Equal(t, store.FeedbackSent, h.Feedback(ada))
				require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 3)
				require.Equal(t, 2.0, h.Metric("feedback_calls_total", "plan", planA, "reason", string(test.reason)))
				require.Equal(t, 1.0, h.Metric("feedback_calls_total", "plan", planA, "reason", "accepted"))
			})
		})
	}
}

func TestARefusedConnectionIsRetried(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.RecordFlag(planA, batch1, true)
		h.Upstream.RefuseConnections()
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(3 * time.Second)
		require.Equal(t, store.ReasonNetwork, h.Batch(planA, batch1).Task.Reason)
		require.Equal(t, store.FeedbackOwed, h.Feedback(ada))
	})
}

// Attempts are spaced with full jitter. Every random number is 0.5 here, so the delays are half of 1 s, 2 s, 4 s and so
// on.
func TestAttemptsBackOff(t *testing.T) {
	inBubble(t, circuitOff, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		h.Upstream.Fail(relaytest.PostFeedback, 12, relaytest.Respond(500, ""))
		h.RecordFlag(planA, batch1, true)
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(2 * time.Hour)
		calls := h.Upstream.Requests(relaytest.PostFeedback)
		require.Len(t, calls, 13)
		for i := range 12 {
			planned := min(time.Second<<i, 10*time.Minute) / 2
			gap := calls[i+1].At.Sub(calls[i].At)
			require.GreaterOrEqual(t, gap, planned, "gap %d", i)
			require.LessOrEqual(t, gap, planned+time.Second, "gap %d", i)
		}
	})
}

func TestNotFoundAndDisabledIsDropped(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, false)
		h.RecordFlag(planA, batch1, true) // sent through the gateway with the flag; a later replace removed it
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(time.Minute)

		b := h.Batch(planA, batch1)
		require.Equal(t, store.FlagUnwanted, b.Flag)
		require.Nil(t, b.Task)
		require.Nil(t, b.Dead)
		require.Equal(t, store.FeedbackOwed, h.Feedback(ada), "owed; shown as dropped")
		require.Equal(t, unwanted, h.Lines.With(t, "feedback attempt")[0]["detail"])
		require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 1)
		require.Len(t, h.Upstream.Requests(relaytest.GetBatch), 1)

		h.RecordDelivered(planA, batch1, bob)
		h.Advance(time.Hour)
		require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 1, "the flag is stored")
		require.Len(t, h.Upstream.Requests(relaytest.GetBatch), 1)
	})
}

func TestNotFoundAndUnknownIsDead(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch("another", true)
		h.RecordFlag(planA, batch1, true)
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(time.Minute)

		b := h.Batch(planA, batch1)
		require.True(t, b.Info.Unknown)
		require.Nil(t, b.Task)
		require.Equal(t, store.ReasonNotEnabledOrUnknown, b.Dead.Reason)
		require.Equal(t, unknownToSinch, b.Dead.Detail)
		require.Equal(t, store.FeedbackDead, h.Feedback(ada))
		require.Equal(t, 1.0, h.Metric("batch_lookups_total", "plan", planA, "result", "unknown"))
		require.Equal(t, 1.0, h.Metric("feedback_calls_total", "plan", planA, "reason", "not_enabled_or_unknown"))
	})
}

func TestNotFoundAndEnabledIsRetried(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		h.Upstream.Fail(relaytest.PostFeedback, 2, relaytest.Respond(404, ""))
		h.RecordFlag(planA, batch1, true)
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(time.Minute)
		require.Equal(t, store.FeedbackSent, h.Feedback(ada))
		require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 3)
		require.Len(t, h.Upstream.Requests(relaytest.GetBatch), 2)
	})

	inBubble(t, patient, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		h.Upstream.Fail(relaytest.PostFeedback, 1<<20, relaytest.Respond(404, ""))
		h.RecordFlag(planA, batch1, true)
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(5 * time.Hour)
		require.Equal(t, store.FeedbackOwed, h.Feedback(ada))
		h.Advance(2 * time.Hour)
		require.Equal(t, store.FeedbackDead, h.Feedback(ada))
		require.Equal(t, enabledAfterAll, h.Batch(planA, batch1).Dead.Detail)
	})
}

// If the look-up after a 404 fails, the task is retried.
func TestNotFoundAndNoAnswerIsRetried(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.Fail(relaytest.GetBatch, 1, relaytest.Respond(500, ""))
		h.Upstream.Fail(relaytest.PostFeedback, 1, relaytest.Respond(404, ""))
		h.Upstream.AddBatch(batch1, true)
		h.RecordFlag(planA, batch1, true)
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(time.Minute)
		require.Equal(t, store.FeedbackSent, h.Feedback(ada))
		require.Equal(t, 1.0, h.Metric("batch_lookups_total", "plan", planA, "result", "failed"))
	})
}

func TestRejectedFeedbackIsDead(t *testing.T) {
	for _, status := range []int{400, 405, 413, 415, 422} {
		inBubble(t, nil, func(t *testing.T, h *harness) {
			h.Upstream.AddBatch(batch1, true)
			h.Upstream.Fail(relaytest.PostFeedback, 1,
				relaytest.Respond(status, `{"code":"syntax_constraint_violation","text":"`+ada+` is no member"}`))
			h.RecordFlag(planA, batch1, true)
			h.RecordDelivered(planA, batch1, ada)
			h.Advance(time.Hour)

			b := h.Batch(planA, batch1)
			require.Nil(t, b.Task)
			require.Equal(t, store.ReasonRejected, b.Dead.Reason)
			require.Contains(t, b.Dead.Detail, "syntax_constraint_violation: 447*******18 is no member")
			require.NotContains(t, b.Dead.Detail, ada)
			require.Equal(t, store.FeedbackDead, h.Feedback(ada))
			require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 1)

			// An operator requeues it.
			n, err := h.Store.Requeue(t.Context(), b.Key(), store.Now())
			require.NoError(t, err)
			require.Equal(t, 1, n)
			h.Advance(time.Minute)
			require.Equal(t, store.FeedbackSent, h.Feedback(ada))
			require.Nil(t, h.Batch(planA, batch1).Dead)
		})
	}
}

func TestATaskThatFailsForThreeDaysIsDead(t *testing.T) {
	byDefault := func(c *Config) {
		patient(c)
		c.Plans[0].GiveUp = 0
	}
	inBubble(t, byDefault, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		h.Upstream.Fail(relaytest.PostFeedback, 1<<20, relaytest.Respond(500, "still down"))
		h.RecordFlag(planA, batch1, true)
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(71 * time.Hour)
		require.Equal(t, store.FeedbackOwed, h.Feedback(ada))
		h.Advance(90 * time.Minute)
		b := h.Batch(planA, batch1)
		require.Nil(t, b.Task)
		require.Equal(t, store.FeedbackDead, h.Feedback(ada))
		require.Equal(t, store.ReasonServer, b.Dead.Reason)
		require.Contains(t, b.Dead.Detail, "still down")
		lines := h.Lines.With(t, "feedback attempt")
		require.Equal(t, "ERROR", lines[len(lines)-1]["level"])
	})
}

// patient polls rarely, disables the circuit breaker and gives up after 6 h, for tests that span hours.
func patient(c *Config) {
	circuitOff(c)
	c.Plans[0].PollInterval = 5 * time.Minute
	c.Plans[0].GiveUp = 6 * time.Hour
}

func circuitOff(c *Config) { c.Plans[0].Circuit.Failures = 1 << 30 }
