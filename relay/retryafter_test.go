package relay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

func TestRetryAfterIsHonoured(t *testing.T) {
	for name, test := range map[string]struct {
		header      string
		least, most time.Duration
	}{
		"longer than our plan":  {"90", 90 * time.Second, 92 * time.Second},
		"shorter than our plan": {"0", 500 * time.Millisecond, 2 * time.Second},
		"as a date":             {"Sat, 01 Jan 2000 00:02:00 GMT", 110 * time.Second, 120 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, nil, func(t *testing.T, h *house) {
				h.upstream.knows(batch1, true)
				h.upstream.fail(postFeedback, 1, says(429, "", "Retry-After", test.header))
				h.flagged(planA, batch1, true)
				h.delivered(planA, batch1, ada)
				h.pass(10 * time.Minute)
				calls := h.upstream.asked(postFeedback)
				require.Len(t, calls, 2)
				gap := calls[1].at.Sub(calls[0].at)
				require.GreaterOrEqual(t, gap, test.least)
				require.LessOrEqual(t, gap, test.most)
			})
		})
	}
}

// Retry-After is said to the caller, not to a batch: the plan makes no call before.
func TestRetryAfterHoldsThePlan(t *testing.T) {
	for _, status := range []int{429, 503} {
		inHouse(t, nil, func(t *testing.T, h *house) {
			h.upstream.knows(batch1, true)
			h.upstream.knows("batch-2", true)
			h.upstream.fail(postFeedback, 1, says(status, "", "Retry-After", "60"))
			h.flagged(planA, batch1, true)
			h.flagged(planA, "batch-2", true)
			h.delivered(planA, batch1, ada)
			h.pass(5 * time.Second)
			h.delivered(planA, "batch-2", bob)
			h.pass(50 * time.Second)
			require.Len(t, h.upstream.asked(postFeedback), 1)
			h.pass(10 * time.Second)
			require.Len(t, h.upstream.asked(postFeedback), 3)
		})
	}
}

// How long an answer may make feedback wait is bounded: by the longest back-off, or for Sinch's own limit by an hour.
func TestRetryAfterIsBounded(t *testing.T) {
	for status, want := range map[int]time.Duration{503: 10 * time.Minute, 500: 10 * time.Minute, 408: 10 * time.Minute, 429: time.Hour} {
		for _, operation := range []string{postFeedback, getBatch} {
			inHouse(t, nil, func(t *testing.T, h *house) {
				h.upstream.knows(batch1, true)
				h.upstream.fail(operation, 1, says(status, "", "Retry-After", "86400"))
				h.delivered(planA, batch1, ada)
				h.pass(3 * time.Hour)
				calls := h.upstream.asked(operation)
				require.Len(t, calls, 2, "%d", status)
				require.InDelta(t, want.Seconds(), calls[1].at.Sub(calls[0].at).Seconds(), 2, "%d", status)
				require.Equal(t, store.FeedbackSent, h.feedback(ada))
			})
		}
	}
}

// A person's word ends every wait of a batch: that of its task and that of its plan.
func TestARequeueEndsEveryWait(t *testing.T) {
	for name, answer := range map[string]func(h *house){
		"503": func(h *house) { h.upstream.fail(postFeedback, 1, says(503, "", "Retry-After", "86400")) },
		"429": func(h *house) { h.upstream.fail(postFeedback, 1, says(429, "", "Retry-After", "86400")) },
		"401": func(h *house) { h.upstream.fail(postFeedback, 1, says(401, "")) },
		"404": func(h *house) {
			h.upstream.fail(postFeedback, 1, says(404, ""))
			h.upstream.fail(getBatch, 1, says(404, ""))
			h.upstream.fail(listBatches, 1, says(404, ""))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, nil, func(t *testing.T, h *house) {
				h.upstream.knows(batch1, true)
				h.flagged(planA, batch1, true)
				answer(h)
				h.delivered(planA, batch1, ada)
				h.pass(30 * time.Second)
				require.Len(t, h.upstream.asked(postFeedback), 1)
				require.Equal(t, store.FeedbackOwed, h.feedback(ada))
				_, err := h.store.Requeue(t.Context(), store.BatchKey{Plan: planA, BatchID: batch1}, now())
				require.NoError(t, err)
				h.pass(2 * time.Second)
				require.Equal(t, store.FeedbackSent, h.feedback(ada))
			})
		})
	}
	// A batch that came during the pause does not wait, but its plan does.
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.fail(postFeedback, 1, says(401, ""))
		h.manyBatches(planA, 1)
		h.pass(5 * time.Second)
		h.upstream.knows(batch1, true)
		h.delivered(planA, batch1, ada)
		h.pass(5 * time.Second)
		require.Equal(t, store.FeedbackOwed, h.feedback(ada))
		require.False(t, h.batch(planA, batch1).Waits(now()))
		_, err := h.store.Requeue(t.Context(), store.BatchKey{Plan: planA, BatchID: batch1}, now())
		require.NoError(t, err)
		h.pass(5 * time.Second)
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
	})
}
