package relay

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// Listings of a plan that prove nothing: the plan may be of another region, or another plan of the account.
var noProof = map[string]http.HandlerFunc{
	"empty":          says(200, `{"count":0,"page":0,"page_size":0,"batches":[]}`),
	"no list":        says(200, `{}`),
	"not JSON":       says(200, `ok`),
	"a nameless one": says(200, `{"count":1,"batches":[{"to":["447700900118"]}]}`),
	"refused":        says(400, `{"code":"syntax_invalid_parameter_format"}`),
	"gone":           says(410, ""),
}

// Sinch knows the plan but none of its batches: the plan pauses, and its feedback waits for a person.
func TestAListingWithoutABatchProvesNothing(t *testing.T) {
	for name, listing := range noProof {
		t.Run(name, func(t *testing.T) {
			inHouse(t, patient, func(t *testing.T, h *house) {
				h.upstream.fail(getBatch, 1<<30, says(404, ""))
				h.upstream.fail(postFeedback, 1<<30, says(404, ""))
				h.upstream.fail(listBatches, 1<<30, listing)
				for i := range 20 {
					id := fmt.Sprint("batch-", i)
					h.upstream.knows(id, true)
					h.delivered(planA, id, ada)
				}
				h.flagged(planA, "batch-0", true) // this one is not looked up first
				h.pass(100 * time.Hour)
				for i := range 20 {
					require.Nil(t, h.batch(planA, fmt.Sprint("batch-", i)).Dead)
				}
				require.Equal(t, store.ReasonUnknownPlan, h.batch(planA, "batch-0").Task.Reason)
				require.Contains(t, h.batch(planA, "batch-0").Task.Detail, "lists no other batch")
				require.NotEmpty(t, h.log.with(t, unknownToPlan))
				require.Zero(t, h.counted("batch_lookups_total", "plan", planA, "result", "missing"))

				h.upstream.heal()
				h.pass(2 * time.Hour)
				require.Equal(t, 20, h.sent(planA))
			})
		})
	}
}

// A listing is proof with any batch of the plan in it, however long ago that was sent, and also if it cannot be read.
func TestAListingWithABatchProvesThePlan(t *testing.T) {
	for name, listing := range map[string]http.HandlerFunc{
		"a batch":                 says(200, `{"count":1,"batches":[{"id":"another"}]}`),
		"one that cannot be read": says(200, `{"count":1,"batches":[{"id":"..","to":[]}]}`),
		"one of two weeks ago": func(w http.ResponseWriter, r *http.Request) {
			start, _ := time.Parse(time.RFC3339, r.URL.Query().Get("start_date"))
			if start.IsZero() || time.Since(start) < 13*24*time.Hour {
				noProof["empty"](w, r)
				return
			}
			says(200, `{"count":1,"batches":[{"id":"another"}]}`)(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, nil, func(t *testing.T, h *house) {
				h.upstream.fail(listBatches, 1<<30, listing)
				h.delivered(planA, batch1, ada)
				h.pass(time.Minute)
				require.Equal(t, store.FeedbackDead, h.feedback(ada))
				require.Equal(t, store.ReasonNotEnabledOrUnknown, h.batch(planA, batch1).Dead.Reason)
				require.Empty(t, h.log.with(t, unknownToPlan))
			})
		})
	}
}

// The only batch of a plan may really be unknown. It looks like a wrong plan, so it waits, until Sinch knows another
// batch of the plan or a person says that the batch wants no feedback.
func TestTheOnlyBatchOfAPlanIsUnknown(t *testing.T) {
	inHouse(t, patient, func(t *testing.T, h *house) {
		h.delivered(planA, batch1, ada)
		h.pass(100 * time.Hour)
		require.Equal(t, store.FeedbackOwed, h.feedback(ada))
		require.InDelta(t, 100*6, len(h.upstream.asked(listBatches)), 60, "one listing a pause")

		h.upstream.knows("batch-2", true)
		h.delivered(planA, "batch-2", bob)
		h.pass(30 * time.Minute)
		require.Equal(t, 1, h.sent(planA))
		require.Len(t, h.log.with(t, "plan resumed: Sinch accepts it again"), 1)
		require.Equal(t, store.ReasonNotEnabledOrUnknown, h.batch(planA, batch1).Dead.Reason)
	})
	inHouse(t, patient, func(t *testing.T, h *house) {
		h.delivered(planA, batch1, ada)
		h.pass(time.Hour)
		h.flagged(planA, batch1, false)
		asked := len(h.upstream.calls)
		h.pass(10 * time.Hour)
		require.Nil(t, h.batch(planA, batch1).Task)
		require.Nil(t, h.batch(planA, batch1).Dead)
		require.Len(t, h.upstream.calls, asked)
	})
}

// The reconciler follows the same rules.
func TestTheReconcilerAndAListingWithoutABatch(t *testing.T) {
	for name, listing := range noProof {
		t.Run(name, func(t *testing.T) {
			inReconciledHouse(t, func(t *testing.T, h *house) {
				h.upstream.fail(getReport, 1<<30, says(404, ""))
				h.upstream.fail(listBatches, 1<<30, listing)
				h.went(batch1)
				h.pass(time.Hour + 5*time.Minute)
				require.Equal(t, 1.0, h.counted("reconcile_reads_total", "plan", planA, "reason", "unknown_plan"))
				require.False(t, h.batch(planA, batch1).Facts.Missing)
			})
		})
	}
}
