package relay

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// noProof lists answers to a listing that do not prove that the plan is right: it may be of another region, or another
// plan of the account.
var noProof = map[string]http.HandlerFunc{
	"empty":       respond(200, `{"count":0,"page":0,"page_size":0,"batches":[]}`),
	"no list":     respond(200, `{}`),
	"not JSON":    respond(200, `ok`),
	"no batch id": respond(200, `{"count":1,"batches":[{"to":["447700900118"]}]}`),
	"refused":     respond(400, `{"code":"syntax_invalid_parameter_format"}`),
	"gone":        respond(410, ""),
}

// A plan of which Sinch lists no batch pauses, and its feedback waits until the configuration is corrected.
func TestAListingWithoutABatchProvesNothing(t *testing.T) {
	for name, listing := range noProof {
		t.Run(name, func(t *testing.T) {
			inBubble(t, patient, func(t *testing.T, h *harness) {
				h.upstream.fail(getBatch, 1<<30, respond(404, ""))
				h.upstream.fail(postFeedback, 1<<30, respond(404, ""))
				h.upstream.fail(listBatches, 1<<30, listing)
				for i := range 20 {
					id := fmt.Sprint("batch-", i)
					h.upstream.addBatch(id, true)
					h.recordDelivered(planA, id, ada)
				}
				h.recordFlag(planA, "batch-0", true) // this one is not looked up first
				h.advance(100 * time.Hour)
				for i := range 20 {
					require.Nil(t, h.batch(planA, fmt.Sprint("batch-", i)).Dead)
				}
				require.Equal(t, store.ReasonUnknownPlan, h.batch(planA, "batch-0").Task.Reason)
				require.Contains(t, h.batch(planA, "batch-0").Task.Detail, "lists no other batch")
				require.NotEmpty(t, h.log.with(t, unknownToPlan))
				require.Zero(t, h.metric("batch_lookups_total", "plan", planA, "result", "missing"))

				h.upstream.heal()
				h.advance(2 * time.Hour)
				require.Equal(t, 20, h.sent(planA))
			})
		})
	}
}

// Any batch in the listing proves the plan: an old one, and one that cannot be decoded.
func TestAListingWithABatchProvesThePlan(t *testing.T) {
	for name, listing := range map[string]http.HandlerFunc{
		"a batch":              respond(200, `{"count":1,"batches":[{"id":"another"}]}`),
		"an undecodable batch": respond(200, `{"count":1,"batches":[{"id":"..","to":[]}]}`),
		"a batch of two weeks ago": func(w http.ResponseWriter, r *http.Request) {
			start, _ := time.Parse(time.RFC3339, r.URL.Query().Get("start_date"))
			if start.IsZero() || time.Since(start) < 13*24*time.Hour {
				noProof["empty"](w, r)
				return
			}
			respond(200, `{"count":1,"batches":[{"id":"another"}]}`)(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, h *harness) {
				h.upstream.fail(listBatches, 1<<30, listing)
				h.recordDelivered(planA, batch1, ada)
				h.advance(time.Minute)
				require.Equal(t, store.FeedbackDead, h.feedback(ada))
				require.Equal(t, store.ReasonNotEnabledOrUnknown, h.batch(planA, batch1).Dead.Reason)
				require.Empty(t, h.log.with(t, unknownToPlan))
			})
		})
	}
}

// The only batch of a plan may really be unknown to Sinch. That looks like a wrong plan, so its task waits until Sinch
// knows another batch of the plan, or the batch is registered as not wanting feedback.
func TestTheOnlyBatchOfAPlanIsUnknown(t *testing.T) {
	inBubble(t, patient, func(t *testing.T, h *harness) {
		h.recordDelivered(planA, batch1, ada)
		h.advance(100 * time.Hour)
		require.Equal(t, store.FeedbackOwed, h.feedback(ada))
		require.InDelta(t, 100*6, len(h.upstream.requests(listBatches)), 60, "one listing per pause")

		h.upstream.addBatch("batch-2", true)
		h.recordDelivered(planA, "batch-2", bob)
		h.advance(30 * time.Minute)
		require.Equal(t, 1, h.sent(planA))
		require.Len(t, h.log.with(t, "plan resumed: Sinch accepts it again"), 1)
		require.Equal(t, store.ReasonNotEnabledOrUnknown, h.batch(planA, batch1).Dead.Reason)
	})
	inBubble(t, patient, func(t *testing.T, h *harness) {
		h.recordDelivered(planA, batch1, ada)
		h.advance(time.Hour)
		h.recordFlag(planA, batch1, false)
		asked := len(h.upstream.calls)
		h.advance(10 * time.Hour)
		require.Nil(t, h.batch(planA, batch1).Task)
		require.Nil(t, h.batch(planA, batch1).Dead)
		require.Len(t, h.upstream.calls, asked)
	})
}

// The reconciler follows the same rules.
func TestTheReconcilerAndAListingWithoutABatch(t *testing.T) {
	for name, listing := range noProof {
		t.Run(name, func(t *testing.T) {
			inBubbleWithReconciler(t, func(t *testing.T, h *harness) {
				h.upstream.fail(getReport, 1<<30, respond(404, ""))
				h.upstream.fail(listBatches, 1<<30, listing)
				h.recordBatch(batch1)
				h.advance(time.Hour + 5*time.Minute)
				require.Equal(t, 1.0, h.metric("reconcile_reads_total", "plan", planA, "reason", "unknown_plan"))
				require.False(t, h.batch(planA, batch1).Facts.Missing)
			})
		})
	}
}
