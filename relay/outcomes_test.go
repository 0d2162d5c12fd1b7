package relay

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// One test for each row of what an answer to feedback means.

func TestAcceptedFeedbackIsSent(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, true)
		h.flagged(planA, batch1, true)
		h.delivered(planA, batch1, "+"+ada, bob)
		h.pass(5 * time.Second)

		calls := h.upstream.asked(postFeedback)
		require.Len(t, calls, 1)
		require.Equal(t, []string{ada, bob}, calls[0].recipients)
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
		require.Equal(t, store.FeedbackSent, h.feedback(bob))
		require.Nil(t, h.batch(planA, batch1).Task)
		require.Equal(t, 1.0, h.counted("feedback_calls_total", "plan", planA, "reason", "accepted"))

		h.pass(time.Hour)
		require.Len(t, h.upstream.asked(postFeedback), 1, "sent is never sent again")
		require.Empty(t, h.upstream.asked(getBatch), "what the gateway told is not asked")
	})
}

// What does not last is tried again: with what the attempt left on the task, and until it succeeds.
func TestTroubleIsTriedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		reason store.Reason
		detail string
	}{
		"500":               {says(500, "oops"), store.ReasonServer, "500 Internal Server Error: oops"},
		"503":               {says(503, `{"error":"down"}`), store.ReasonServer, "503 Service Unavailable: down"},
		"408":               {says(408, ""), store.ReasonTimeout, "408 Request Timeout"},
		"302":               {says(302, "", "Location", "/login"), store.ReasonNetwork, "302 Found"},
		"no answer in time": {hangs(time.Minute, says(202, "")), store.ReasonTimeout, "deadline exceeded"},
		"no answer":         {nil, store.ReasonNetwork, "EOF"},
		"429":               {says(429, ""), store.ReasonRateLimited, "429 Too Many Requests"},
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, nil, func(t *testing.T, h *house) {
				h.upstream.knows(batch1, true)
				h.upstream.fail(postFeedback, 2, test.answer)
				h.flagged(planA, batch1, true)
				h.delivered(planA, batch1, ada)
				for h.batch(planA, batch1).Task.Attempts < 1 {
					h.pass(100 * time.Millisecond)
				}
				task := h.batch(planA, batch1).Task
				assert.Equal(t, 1, task.Attempts)
				assert.Equal(t, test.reason, task.Reason)
				assert.Contains(t, task.Detail, test.detail)
				assert.Equal(t, store.FeedbackOwed, h.feedback(ada))

				h.pass(time.Minute)
				require.Equal(t, store.FeedbackSent, h.feedback(ada))
				require.Len(t, h.upstream.asked(postFeedback), 3)
				require.Equal(t, 2.0, h.counted("feedback_calls_total", "plan", planA, "reason", string(test.reason)))
				require.Equal(t, 1.0, h.counted("feedback_calls_total", "plan", planA, "reason", "accepted"))
			})
		})
	}
}

func TestNobodyListensIsTriedAgain(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.flagged(planA, batch1, true)
		require.NoError(t, h.upstream.server.Close())
		h.delivered(planA, batch1, ada)
		h.pass(3 * time.Second)
		require.Equal(t, store.ReasonNetwork, h.batch(planA, batch1).Task.Reason)
		require.Equal(t, store.FeedbackOwed, h.feedback(ada))
	})
}

// Attempts are spaced by full jitter: with 0.5 for every random number, half of 1 s, 2 s, 4 s and so on.
func TestAttemptsAreSpaced(t *testing.T) {
	inHouse(t, circuitOff, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, true)
		h.upstream.fail(postFeedback, 12, says(500, ""))
		h.flagged(planA, batch1, true)
		h.delivered(planA, batch1, ada)
		h.pass(2 * time.Hour)
		calls := h.upstream.asked(postFeedback)
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
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, false)
		h.flagged(planA, batch1, true) // the gateway saw it sent with the flag; a replace took it away
		h.delivered(planA, batch1, ada)
		h.pass(time.Minute)

		b := h.batch(planA, batch1)
		require.Equal(t, store.FlagUnwanted, b.Flag)
		require.Nil(t, b.Task)
		require.Nil(t, b.Dead)
		require.Equal(t, store.FeedbackOwed, h.feedback(ada), "owed, and shown as dropped")
		require.Equal(t, unwanted, h.log.with(t, "feedback attempt")[0]["detail"])
		require.Len(t, h.upstream.asked(postFeedback), 1)
		require.Len(t, h.upstream.asked(getBatch), 1)

		h.delivered(planA, batch1, bob)
		h.pass(time.Hour)
		require.Len(t, h.upstream.asked(postFeedback), 1, "it is remembered")
		require.Len(t, h.upstream.asked(getBatch), 1)
	})
}

func TestNotFoundAndUnknownIsDead(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.knows("another", true)
		h.flagged(planA, batch1, true)
		h.delivered(planA, batch1, ada)
		h.pass(time.Minute)

		b := h.batch(planA, batch1)
		require.True(t, b.Facts.Missing)
		require.Nil(t, b.Task)
		require.Equal(t, store.ReasonNotEnabledOrUnknown, b.Dead.Reason)
		require.Equal(t, unheard, b.Dead.Detail)
		require.Equal(t, store.FeedbackDead, h.feedback(ada))
		require.Equal(t, 1.0, h.counted("batch_lookups_total", "plan", planA, "result", "missing"))
		require.Equal(t, 1.0, h.counted("feedback_calls_total", "plan", planA, "reason", "not_enabled_or_unknown"))
	})
}

func TestNotFoundAndEnabledIsTriedAgain(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, true)
		h.upstream.fail(postFeedback, 2, says(404, ""))
		h.flagged(planA, batch1, true)
		h.delivered(planA, batch1, ada)
		h.pass(time.Minute)
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
		require.Len(t, h.upstream.asked(postFeedback), 3)
		require.Len(t, h.upstream.asked(getBatch), 2)
	})

	inHouse(t, patient, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, true)
		h.upstream.fail(postFeedback, 1<<20, says(404, ""))
		h.flagged(planA, batch1, true)
		h.delivered(planA, batch1, ada)
		h.pass(71 * time.Hour)
		require.Equal(t, store.FeedbackOwed, h.feedback(ada))
		h.pass(2 * time.Hour)
		require.Equal(t, store.FeedbackDead, h.feedback(ada))
		require.Equal(t, enabled, h.batch(planA, batch1).Dead.Detail)
	})
}

// When it cannot be found out what a 404 meant, nothing is decided by it.
func TestNotFoundAndNoAnswerIsTriedAgain(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.fail(getBatch, 1, says(500, ""))
		h.upstream.fail(postFeedback, 1, says(404, ""))
		h.upstream.knows(batch1, true)
		h.flagged(planA, batch1, true)
		h.delivered(planA, batch1, ada)
		h.pass(time.Minute)
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
		require.Equal(t, 1.0, h.counted("batch_lookups_total", "plan", planA, "result", "failed"))
	})
}

func TestRejectedFeedbackIsDead(t *testing.T) {
	for _, status := range []int{400, 405, 413, 415, 422} {
		inHouse(t, nil, func(t *testing.T, h *house) {
			h.upstream.knows(batch1, true)
			h.upstream.fail(postFeedback, 1, says(status, `{"code":"syntax_constraint_violation","text":"`+ada+` is no member"}`))
			h.flagged(planA, batch1, true)
			h.delivered(planA, batch1, ada)
			h.pass(time.Hour)

			b := h.batch(planA, batch1)
			require.Nil(t, b.Task)
			require.Equal(t, store.ReasonRejected, b.Dead.Reason)
			require.Contains(t, b.Dead.Detail, "syntax_constraint_violation: 447*******18 is no member")
			require.NotContains(t, b.Dead.Detail, ada)
			require.Equal(t, store.FeedbackDead, h.feedback(ada))
			require.Len(t, h.upstream.asked(postFeedback), 1)

			// A person had a look.
			n, err := h.store.Requeue(t.Context(), b.Key(), now())
			require.NoError(t, err)
			require.Equal(t, 1, n)
			h.pass(time.Minute)
			require.Equal(t, store.FeedbackSent, h.feedback(ada))
			require.Nil(t, h.batch(planA, batch1).Dead)
		})
	}
}

func TestWhatFailsForThreeDaysIsDead(t *testing.T) {
	inHouse(t, patient, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, true)
		h.upstream.fail(postFeedback, 1<<20, says(500, "still down"))
		h.flagged(planA, batch1, true)
		h.delivered(planA, batch1, ada)
		h.pass(71 * time.Hour)
		require.Equal(t, store.FeedbackOwed, h.feedback(ada))
		h.pass(90 * time.Minute)
		b := h.batch(planA, batch1)
		require.Nil(t, b.Task)
		require.Equal(t, store.FeedbackDead, h.feedback(ada))
		require.Equal(t, store.ReasonServer, b.Dead.Reason)
		require.Contains(t, b.Dead.Detail, "still down")
		lines := h.log.with(t, "feedback attempt")
		require.Equal(t, "ERROR", lines[len(lines)-1]["level"])
	})
}

// patient polls seldom and has no circuit, for tests that let days go by.
func patient(c *Config) {
	circuitOff(c)
	c.Plans[0].PollInterval = 5 * time.Minute
}

func circuitOff(c *Config) { c.Plans[0].Circuit.Failures = 1 << 30 }
