package feedback

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/relay/relaytest"
	"github.com/dlrloop/dlrloop/store"
)

// A confirmation for the whole batch is sent once, as an empty list, before the recipients that the application named.
func TestAConfirmationForTheWholeBatchIsItsOwnCall(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		h.RecordFlag(planA, batch1, true)
		h.Record(planA, store.Confirmation{BatchID: batch1, Recipients: []string{ada}})
		h.Record(planA, store.Confirmation{BatchID: batch1, WholeBatch: true})
		h.Advance(time.Minute)
		calls := h.Upstream.Requests(relaytest.PostFeedback)
		require.Len(t, calls, 2)
		require.NotNil(t, calls[0].Recipients)
		require.Empty(t, calls[0].Recipients)
		require.Equal(t, []string{ada}, calls[1].Recipients)
		require.Equal(t, store.FeedbackSent, h.Batch(planA, batch1).WholeBatch)
		h.Record(planA, store.Confirmation{BatchID: batch1, WholeBatch: true})
		h.Advance(time.Hour)
		require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 2)
	})
}

func TestAConfirmationForTheWholeBatchIsRetriedAndGivenUp(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		h.RecordFlag(planA, batch1, true)
		h.Upstream.Fail(relaytest.PostFeedback, 2, relaytest.Respond(500, ""))
		h.Upstream.Fail(relaytest.PostFeedback, 1,
			relaytest.Respond(400, `{"code":"syntax_constraint_violation","text":"the batch has a group"}`))
		h.Record(planA, store.Confirmation{BatchID: batch1, WholeBatch: true})
		h.Advance(time.Hour)
		require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 3)
		b := h.Batch(planA, batch1)
		require.Equal(t, store.FeedbackDead, b.WholeBatch)
		require.Equal(t, store.ReasonRejected, b.Dead.Reason)
		_, err := h.Store.Requeue(t.Context(), store.BatchKey{Plan: planA, BatchID: batch1}, store.Now())
		require.NoError(t, err)
		h.Advance(time.Minute)
		require.Equal(t, store.FeedbackSent, h.Batch(planA, batch1).WholeBatch)
		require.Nil(t, h.Batch(planA, batch1).Dead)
	})
}
