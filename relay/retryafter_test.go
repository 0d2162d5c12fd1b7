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
		"longer than the backoff":  {"90", 90 * time.Second, 92 * time.Second},
		"shorter than the backoff": {"0", 500 * time.Millisecond, 2 * time.Second},
		"as a date":                {"Sat, 01 Jan 2000 00:02:00 GMT", 110 * time.Second, 120 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, h *harness) {
				h.upstream.addBatch(batch1, true)
				h.upstream.fail(postFeedback, 1, respond(429, "", "Retry-After", test.header))
				h.recordFlag(planA, batch1, true)
				h.recordDelivered(planA, batch1, ada)
				h.advance(10 * time.Minute)
				calls := h.upstream.requests(postFeedback)
				require.Len(t, calls, 2)
				gap := calls[1].at.Sub(calls[0].at)
				require.GreaterOrEqual(t, gap, test.least)
				require.LessOrEqual(t, gap, test.most)
			})
		})
	}
}

// Retry-After addresses the caller, not one batch: the whole plan makes no call until then.
func TestRetryAfterHoldsThePlan(t *testing.T) {
	for _, status := range []int{429, 503} {
		inBubble(t, nil, func(t *testing.T, h *harness) {
			h.upstream.addBatch(batch1, true)
			h.upstream.addBatch("batch-2", true)
			h.upstream.fail(postFeedback, 1, respond(status, "", "Retry-After", "60"))
			h.recordFlag(planA, batch1, true)
			h.recordFlag(planA, "batch-2", true)
			h.recordDelivered(planA, batch1, ada)
			h.advance(5 * time.Second)
			h.recordDelivered(planA, "batch-2", bob)
			h.advance(50 * time.Second)
			require.Len(t, h.upstream.requests(postFeedback), 1)
			h.advance(10 * time.Second)
			require.Len(t, h.upstream.requests(postFeedback), 3)
		})
	}
}

// A Retry-After delays feedback for at most Backoff.Cap, or for at most one hour after a 429.
func TestRetryAfterIsBounded(t *testing.T) {
	const limit = 10 * time.Minute
	for status, want := range map[int]time.Duration{503: limit, 500: limit, 408: limit, 429: time.Hour} {
		for _, operation := range []string{postFeedback, getBatch} {
			inBubble(t, nil, func(t *testing.T, h *harness) {
				h.upstream.addBatch(batch1, true)
				h.upstream.fail(operation, 1, respond(status, "", "Retry-After", "86400"))
				h.recordDelivered(planA, batch1, ada)
				h.advance(3 * time.Hour)
				calls := h.upstream.requests(operation)
				require.Len(t, calls, 2, "%d", status)
				require.InDelta(t, want.Seconds(), calls[1].at.Sub(calls[0].at).Seconds(), 2, "%d", status)
				require.Equal(t, store.FeedbackSent, h.feedback(ada))
			})
		}
	}
}

// An operator's requeue ends every delay of a batch: that of its task and that of its plan.
func TestARequeueEndsEveryDelay(t *testing.T) {
	for name, answer := range map[string]func(h *harness){
		"503": func(h *harness) { h.upstream.fail(postFeedback, 1, respond(503, "", "Retry-After", "86400")) },
		"429": func(h *harness) { h.upstream.fail(postFeedback, 1, respond(429, "", "Retry-After", "86400")) },
		"401": func(h *harness) { h.upstream.fail(postFeedback, 1, respond(401, "")) },
		"404": func(h *harness) {
			h.upstream.fail(postFeedback, 1, respond(404, ""))
			h.upstream.fail(getBatch, 1, respond(404, ""))
			h.upstream.fail(listBatches, 1, respond(404, ""))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, h *harness) {
				h.upstream.addBatch(batch1, true)
				h.recordFlag(planA, batch1, true)
				answer(h)
				h.recordDelivered(planA, batch1, ada)
				h.advance(30 * time.Second)
				require.Len(t, h.upstream.requests(postFeedback), 1)
				require.Equal(t, store.FeedbackOwed, h.feedback(ada))
				_, err := h.store.Requeue(t.Context(), store.BatchKey{Plan: planA, BatchID: batch1}, now())
				require.NoError(t, err)
				h.advance(2 * time.Second)
				require.Equal(t, store.FeedbackSent, h.feedback(ada))
			})
		})
	}
	// The task of a batch that came during the pause is due, but its plan is paused.
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.upstream.fail(postFeedback, 1, respond(401, ""))
		h.oweFeedback(planA, 1)
		h.advance(5 * time.Second)
		h.upstream.addBatch(batch1, true)
		h.recordDelivered(planA, batch1, ada)
		h.advance(5 * time.Second)
		require.Equal(t, store.FeedbackOwed, h.feedback(ada))
		require.False(t, h.batch(planA, batch1).Waits(now()))
		_, err := h.store.Requeue(t.Context(), store.BatchKey{Plan: planA, BatchID: batch1}, now())
		require.NoError(t, err)
		h.advance(5 * time.Second)
		require.Equal(t, store.FeedbackSent, h.feedback(ada))
	})
}
