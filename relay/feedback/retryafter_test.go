package feedback

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/relay/relaytest"
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
				h.Upstream.AddBatch(batch1, true)
				h.Upstream.Fail(relaytest.PostFeedback, 1, relaytest.Respond(429, "", "Retry-After", test.header))
				h.RecordFlag(planA, batch1, true)
				h.RecordDelivered(planA, batch1, ada)
				h.Advance(10 * time.Minute)
				calls := h.Upstream.Requests(relaytest.PostFeedback)
				require.Len(t, calls, 2)
				gap := calls[1].At.Sub(calls[0].At)
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
			h.Upstream.AddBatch(batch1, true)
			h.Upstream.AddBatch("batch-2", true)
			h.Upstream.Fail(relaytest.PostFeedback, 1, relaytest.Respond(status, "", "Retry-After", "60"))
			h.RecordFlag(planA, batch1, true)
			h.RecordFlag(planA, "batch-2", true)
			h.RecordDelivered(planA, batch1, ada)
			h.Advance(5 * time.Second)
			h.RecordDelivered(planA, "batch-2", bob)
			h.Advance(50 * time.Second)
			require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 1)
			h.Advance(10 * time.Second)
			require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 3)
		})
	}
}

// A Retry-After delays feedback for at most Backoff.Cap, or for at most one hour after a 429.
func TestRetryAfterIsBounded(t *testing.T) {
	const limit = 10 * time.Minute
	for status, want := range map[int]time.Duration{503: limit, 500: limit, 408: limit, 429: time.Hour} {
		for _, operation := range []string{relaytest.PostFeedback, relaytest.GetBatch} {
			inBubble(t, nil, func(t *testing.T, h *harness) {
				h.Upstream.AddBatch(batch1, true)
				h.Upstream.Fail(operation, 1, relaytest.Respond(status, "", "Retry-After", "86400"))
				h.RecordDelivered(planA, batch1, ada)
				h.Advance(want + time.Minute)
				calls := h.Upstream.Requests(operation)
				require.Len(t, calls, 2, "%d", status)
				require.InDelta(t, want.Seconds(), calls[1].At.Sub(calls[0].At).Seconds(), 2, "%d", status)
				require.Equal(t, store.FeedbackSent, h.Feedback(ada))
			})
		}
	}
}

// An operator's requeue ends every delay of a batch: that of its task and that of its plan.
func TestARequeueEndsEveryDelay(t *testing.T) {
	for name, answer := range map[string]func(h *harness){
		"503": func(h *harness) {
			h.Upstream.Fail(relaytest.PostFeedback, 1, relaytest.Respond(503, "", "Retry-After", "86400"))
		},
		"429": func(h *harness) {
			h.Upstream.Fail(relaytest.PostFeedback, 1, relaytest.Respond(429, "", "Retry-After", "86400"))
		},
		"401": func(h *harness) { h.Upstream.Fail(relaytest.PostFeedback, 1, relaytest.Respond(401, "")) },
		"404": func(h *harness) {
			h.Upstream.Fail(relaytest.PostFeedback, 1, relaytest.Respond(404, ""))
			h.Upstream.Fail(relaytest.GetBatch, 1, relaytest.Respond(404, ""))
			h.Upstream.Fail(relaytest.ListBatches, 1, relaytest.Respond(404, ""))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, h *harness) {
				h.Upstream.AddBatch(batch1, true)
				h.RecordFlag(planA, batch1, true)
				answer(h)
				h.RecordDelivered(planA, batch1, ada)
				h.Advance(30 * time.Second)
				require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 1)
				require.Equal(t, store.FeedbackOwed, h.Feedback(ada))
				_, err := h.Store.Requeue(t.Context(), store.BatchKey{Plan: planA, BatchID: batch1}, store.Now())
				require.NoError(t, err)
				h.Advance(2 * time.Second)
				require.Equal(t, store.FeedbackSent, h.Feedback(ada))
			})
		})
	}
	// The task of a batch that came during the pause is due, but its plan is paused.
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.Fail(relaytest.PostFeedback, 1, relaytest.Respond(401, ""))
		h.oweFeedback(planA, 1)
		h.Advance(5 * time.Second)
		h.Upstream.AddBatch(batch1, true)
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(5 * time.Second)
		require.Equal(t, store.FeedbackOwed, h.Feedback(ada))
		require.False(t, h.Batch(planA, batch1).Waits(store.Now()))
		_, err := h.Store.Requeue(t.Context(), store.BatchKey{Plan: planA, BatchID: batch1}, store.Now())
		require.NoError(t, err)
		h.Advance(5 * time.Second)
		require.Equal(t, store.FeedbackSent, h.Feedback(ada))
	})
}
