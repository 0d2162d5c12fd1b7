package reconcile

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/relay/relaytest"
)

// The reconciler follows the same rules: one forbidden batch does not delay the others.
func TestTheReconcilerAndForbiddenBatches(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.Upstream.Fail(relaytest.GetReport, 1, relaytest.Respond(403, `{"code":"conflict"}`))
		h.recordBatch(batch1)
		h.Advance(time.Second)
		for i := range 10 {
			h.recordBatch(fmt.Sprint("batch-", i))
		}
		h.Advance(time.Hour + 2*time.Minute)
		require.Len(t, h.Upstream.Requests(relaytest.GetReport), 11)
		require.Equal(t, 1, h.Batch(planA, batch1).Fetch.Attempts, "its read is postponed")
		require.Equal(t, 1.0, h.Metric("reconcile_reads_total", "plan", planA, "reason", "forbidden"))
		require.Zero(t, h.Metric("reconcile_reads_total", "plan", planA, "reason", "auth"))
	})
	inBubble(t, func(t *testing.T, h *harness) {
		h.Upstream.Fail(relaytest.GetReport, 1<<30, relaytest.Respond(403, `{"code":"conflict"}`))
		for i := range 50 {
			h.recordBatch(fmt.Sprint("batch-", i))
		}
		h.Advance(time.Hour + 5*time.Minute)
		require.Len(t, h.Upstream.Requests(relaytest.GetReport), 5, "then the plan pauses")
		require.Equal(t, 1.0, h.Metric("reconcile_reads_total", "plan", planA, "reason", "auth"))
	})
}

func TestTheReconcilerAndAnUnknownPlan(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.Upstream.FailAll(relaytest.Respond(404, ""))
		for i := range 50 {
			h.recordBatch(fmt.Sprint("batch-", i))
		}
		h.Advance(time.Hour + 5*time.Minute)
		require.Len(t, h.Upstream.Requests(relaytest.GetReport), 1)
		require.Equal(t, 1.0, h.Metric("reconcile_reads_total", "plan", planA, "reason", "unknown_plan"))
		require.False(t, h.Batch(planA, "batch-0").Info.Unknown)
	})
}

// The reconciler follows the same rules.
func TestTheReconcilerAndAListingWithoutABatch(t *testing.T) {
	for name, listing := range relaytest.InconclusiveListings {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.Upstream.Fail(relaytest.GetReport, 1<<30, relaytest.Respond(404, ""))
				h.Upstream.Fail(relaytest.ListBatches, 1<<30, listing)
				h.recordBatch(batch1)
				h.Advance(time.Hour + 5*time.Minute)
				require.Equal(t, 1.0, h.Metric("reconcile_reads_total", "plan", planA, "reason", "unknown_plan"))
				require.False(t, h.Batch(planA, batch1).Info.Unknown)
			})
		})
	}
}
