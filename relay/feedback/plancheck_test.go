package feedback

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/relay/relaytest"
	"github.com/dlrloop/dlrloop/store"
)

// A plan of which Sinch lists no batch pauses, and its feedback waits until the configuration is corrected.
func TestAListingWithoutABatchProvesNothing(t *testing.T) {
	for name, listing := range relaytest.InconclusiveListings {
		t.Run(name, func(t *testing.T) {
			inBubble(t, patient, func(t *testing.T, h *harness) {
				h.Upstream.Fail(relaytest.GetBatch, 1<<30, relaytest.Respond(404, ""))
				h.Upstream.Fail(relaytest.PostFeedback, 1<<30, relaytest.Respond(404, ""))
				h.Upstream.Fail(relaytest.ListBatches, 1<<30, listing)
				for i := range 20 {
					id := fmt.Sprint("batch-", i)
					h.Upstream.AddBatch(id, true)
					h.RecordDelivered(planA, id, ada)
				}
				h.RecordFlag(planA, "batch-0", true) // this one is not looked up first
				h.Advance(10 * time.Hour)
				for i := range 20 {
					require.Nil(t, h.Batch(planA, fmt.Sprint("batch-", i)).Dead)
				}
				require.Equal(t, store.ReasonUnknownPlan, h.Batch(planA, "batch-0").Task.Reason)
				require.Contains(t, h.Batch(planA, "batch-0").Task.Detail, "lists no other batch")
				require.NotEmpty(t, h.Lines.With(t, unknownToPlan))
				require.Zero(t, h.Metric("batch_lookups_total", "plan", planA, "result", "unknown"))

				h.Upstream.Heal()
				h.Advance(2 * time.Hour)
				require.Equal(t, 20, h.sent(planA))
			})
		})
	}
}

// Any batch in the listing proves the plan: an old one, and one that cannot be decoded.
func TestAListingWithABatchProvesThePlan(t *testing.T) {
	for name, listing := range map[string]http.HandlerFunc{
		"a batch":              relaytest.Respond(200, `{"count":1,"batches":[{"id":"another"}]}`),
		"an undecodable batch": relaytest.Respond(200, `{"count":1,"batches":[{"id":"..","to":[]}]}`),
		"a batch of two weeks ago": func(w http.ResponseWriter, r *http.Request) {
			start, _ := time.Parse(time.RFC3339, r.URL.Query().Get("start_date"))
			if start.IsZero() || time.Since(start) < 13*24*time.Hour {
				relaytest.InconclusiveListings["empty"](w, r)
				return
			}
			relaytest.Respond(200, `{"count":1,"batches":[{"id":"another"}]}`)(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, h *harness) {
				h.Upstream.Fail(relaytest.ListBatches, 1<<30, listing)
				h.RecordDelivered(planA, batch1, ada)
				h.Advance(time.Minute)
				require.Equal(t, store.FeedbackDead, h.Feedback(ada))
				require.Equal(t, store.ReasonNotEnabledOrUnknown, h.Batch(planA, batch1).Dead.Reason)
				require.Empty(t, h.Lines.With(t, unknownToPlan))
			})
		})
	}
}

// The only batch of a plan may really be unknown to Sinch. That looks like a wrong plan, so its task waits until Sinch
// knows another batch of the plan, or the batch is registered as not wanting feedback.
func TestTheOnlyBatchOfAPlanIsUnknown(t *testing.T) {
	inBubble(t, patient, func(t *testing.T, h *harness) {
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(10 * time.Hour)
		require.Equal(t, store.FeedbackOwed, h.Feedback(ada))
		require.InDelta(t, 10*6, len(h.Upstream.Requests(relaytest.ListBatches)), 6, "one listing per pause")

		h.Upstream.AddBatch("batch-2", true)
		h.RecordDelivered(planA, "batch-2", bob)
		h.Advance(30 * time.Minute)
		require.Equal(t, 1, h.sent(planA))
		require.Len(t, h.Lines.With(t, "plan resumed: Sinch accepts it again"), 1)
		require.Equal(t, store.ReasonNotEnabledOrUnknown, h.Batch(planA, batch1).Dead.Reason)
	})
	inBubble(t, patient, func(t *testing.T, h *harness) {
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(time.Hour)
		h.RecordFlag(planA, batch1, false)
		requests := len(h.Upstream.Requests(""))
		h.Advance(10 * time.Hour)
		require.Nil(t, h.Batch(planA, batch1).Task)
		require.Nil(t, h.Batch(planA, batch1).Dead)
		require.Len(t, h.Upstream.Requests(""), requests)
	})
}
