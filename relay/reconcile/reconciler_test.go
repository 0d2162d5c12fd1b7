package reconcile

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/relay/relaytest"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

func TestMissingReportsAreFetched(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.recordBatch(batch1)
		h.Upstream.AddFullReport(batch1, relaytest.BatchReport(batch1, true, ada, bob))
		h.Advance(50 * time.Minute)
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(59 * time.Minute)
		require.Empty(t, h.Upstream.Requests(relaytest.GetReport), "each report restarts the silence")
		h.Advance(2 * time.Minute)

		require.Len(t, h.Upstream.Requests(relaytest.GetReport), 1)
		status, source := h.status(bob)
		require.Equal(t, dlr.Delivered, status)
		require.Equal(t, store.FromPoll, source)
		require.Equal(t, store.FeedbackOwed, h.Feedback(bob), "a fetched report earns feedback like a callback")
		require.Nil(t, h.Batch(planA, batch1).Fetch)
		require.Equal(t, 1, h.Stats(planA).Polled)
		require.Equal(t, 1.0, h.Metric("reconcile_reads_total", "plan", planA, "reason", "accepted"))

		h.Advance(96 * time.Hour)
		require.Len(t, h.Upstream.Requests(relaytest.GetReport), 1, "no report is missing any more")
	})
}

func TestASilentBatchIsReadLessAndLessOften(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.recordBatch(batch1)
		h.Upstream.AddFullReport(batch1, relaytest.BatchReport(batch1, true, ada)) // bob's phone is switched off
		begin := store.Now()
		h.Advance(96 * time.Hour)
		var reads []time.Duration
		for _, c := range h.Upstream.Requests(relaytest.GetReport) {
			reads = append(reads, c.At.Sub(begin).Truncate(10*time.Minute))
		}
		hours := func(h float64) time.Duration { return time.Duration(h * float64(time.Hour)) }
		require.Equal(t, []time.Duration{hours(1), hours(3), hours(7), hours(15), hours(24) + 10*time.Minute}, reads,
			"and a last time after the batch has expired")
		require.Equal(t, &store.ReportFetch{Attempts: 5}, h.Batch(planA, batch1).Fetch)
		require.Equal(t, 0, h.Stats(planA).Duplicates, "an unchanged answer does not count as a duplicate callback")
	})
}

func TestFetchNowReadsAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.recordBatch(batch1)
		h.Record(planA, store.FetchNow{BatchInfo: info(batch1)})
		h.Upstream.AddFullReport(batch1, relaytest.BatchReport(batch1, true, ada, bob))
		h.Advance(2 * time.Minute)
		require.Len(t, h.Upstream.Requests(relaytest.GetReport), 1)
		status, _ := h.status(ada)
		require.Equal(t, dlr.Delivered, status)
	})
}

// A definite refusal ends the reads of a batch.
func TestADefiniteRefusalEndsTheReads(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"unknown":  relaytest.Respond(404, ""),
		"rejected": relaytest.Respond(400, `{"code":"syntax_constraint_violation","text":"no"}`),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.recordBatch(batch1)
				h.Upstream.Fail(relaytest.GetReport, 1<<20, answer)
				h.Advance(96 * time.Hour)
				require.Len(t, h.Upstream.Requests(relaytest.GetReport), 1)
				warned := h.Lines.With(t, "reconcile attempt")
				require.Len(t, warned, 1)
				require.Equal(t, "WARN", warned[0]["level"])
			})
		})
	}
}

// While Sinch fails, nothing is decided and the reads back off.
func TestMissingReportsAreFetchedAfterFailures(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"429":     relaytest.Respond(429, "", "Retry-After", "100"),
		"500":     relaytest.Respond(500, ""),
		"401":     relaytest.Respond(401, ""),
		"hangs":   relaytest.RespondAfter(time.Hour, relaytest.Respond(200, "")),
		"dropped": nil,
		"garbage": relaytest.Respond(200, "<html>"),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.recordBatch(batch1)
				h.Upstream.AddFullReport(batch1, relaytest.BatchReport(batch1, true, ada, bob))
				h.Upstream.Fail(relaytest.GetReport, 1<<20, answer)
				h.Advance(5 * time.Hour)
				requests := len(h.Upstream.Requests(relaytest.GetReport))
				require.Greater(t, requests, 5)
				require.Less(t, requests, 80, "the backoff is capped at 10 minutes")
				require.NotNil(t, h.Batch(planA, batch1).Fetch)
				h.Upstream.Heal()
				h.Advance(time.Hour)
				require.Len(t, h.Upstream.Requests(relaytest.GetReport), requests+1)
				require.Nil(t, h.Batch(planA, batch1).Fetch)
				require.Equal(t, 0, h.Batch(planA, batch1).Missing())
			})
		})
	}
}

func TestAStoreFailureRepeatsTheRead(t *testing.T) {
	for _, kind := range []storetest.Kind{storetest.NotApplied, storetest.Applied} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.recordBatch(batch1)
				h.Upstream.AddFullReport(batch1, relaytest.BatchReport(batch1, true, ada, bob))
				h.Advance(59 * time.Minute)
				h.Store.FailRecord(kind, store.ErrBusy, 3)
				h.Advance(time.Hour)
				require.Nil(t, h.Batch(planA, batch1).Fetch)
				status, _ := h.status(bob)
				require.Equal(t, dlr.Delivered, status)
				require.Equal(t, 1, h.Stats(planA).Polled)
			})
		})
	}
}

func TestABatchThatAlwaysFailsDoesNotBlockOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.recordBatch("bad")
		h.Upstream.AddFullReport("bad", []byte("<html>"))
		h.Advance(time.Minute)
		h.recordBatch(batch1)
		h.Upstream.AddFullReport(batch1, relaytest.BatchReport(batch1, true, ada, bob))
		h.Advance(2 * time.Hour)
		require.Nil(t, h.Batch(planA, batch1).Fetch)
		require.NotNil(t, h.Batch(planA, "bad").Fetch)
	})
}

func TestReadsStayWithinTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &harness{relaytest.New(t)}
		for i := range 120 {
			id := fmt.Sprint("batch-", i)
			h.recordBatch(id)
			h.Upstream.AddFullReport(id, relaytest.BatchReport(id, true, ada, bob))
		}
		h.Advance(2 * time.Hour) // dlrloop was not running
		h.reconcile(Plan{ID: planA, Rate: 2}, nil)
		h.Advance(30 * time.Second)
		require.InDelta(t, 60, len(h.Upstream.Requests(relaytest.GetReport)), 2)
		h.Advance(time.Minute)
		require.Len(t, h.Upstream.Requests(relaytest.GetReport), 120,
			"each batch once, although they fill more than one page")
	})
}

func TestNewReportsBadConfiguration(t *testing.T) {
	m := metrics.New(prometheus.NewRegistry(), metrics.Config{})
	for want, p := range map[string]Plan{
		`plan "" (number 1): id: it is empty`:        {},
		`plan "p" (number 1): client: it is not set`: {ID: "p"},
	} {
		_, err := New(Config{Plans: []Plan{p}}, nil, m, slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, want)
	}
}
