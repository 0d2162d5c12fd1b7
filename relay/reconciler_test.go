package relay

import (
	"context"
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
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// inBubbleWithReconciler runs a test in a synctest bubble with a relay and a reconciler for plan A, whose read rate is
// high.
func inBubbleWithReconciler(t *testing.T, test func(t *testing.T, h *harness)) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, func(c *Config) { c.Plans[0].PollInterval = time.Minute })
		h.start()
		h.reconcile(ReconciledPlan{ID: planA, Rate: 100, PollInterval: time.Minute})
		test(t, h)
	})
}

// reconcile runs a reconciler for a plan until the end of the test.
func (h *harness) reconcile(p ReconciledPlan) {
	h.t.Helper()
	p.Client = h.client(p.ID)
	c := ReconcilerConfig{Plans: []ReconciledPlan{p}, Rand: func() float64 { return 0.5 }}
	r, err := NewReconciler(c, h.store, h.metrics, slog.New(slog.NewJSONHandler(h.log, nil)))
	require.NoError(h.t, err)
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		require.NoError(h.t, <-done)
	})
}

// recordBatch records a batch to ada and bob as a gateway would. It expires after a day.
func (h *harness) recordBatch(batchID string, change ...func(*store.Facts)) {
	h.t.Helper()
	f := store.Facts{
		BatchID: batchID, ReportKind: "per_recipient_final", FeedbackEnabled: true,
		Recipients: 2, Numbers: []string{ada, bob},
		CreatedAt: now(), ModifiedAt: now(), ExpireAt: now().Add(24 * time.Hour), Source: store.FromGateway,
	}
	for _, c := range change {
		c(&f)
	}
	h.upstream.addBatch(batchID, f.FeedbackEnabled)
	h.record(planA, f)
}

// status returns the winning status of one recipient of batch1, and the source of its last report.
func (h *harness) status(number string) (dlr.Status, store.Source) {
	h.t.Helper()
	r, err := h.store.Recipient(h.t.Context(), store.BatchKey{Plan: planA, BatchID: batch1}, number)
	require.NoError(h.t, err)
	state, _ := r.State()
	if len(r.Seen) == 0 {
		return "", 0
	}
	return state.Status, r.Seen[len(r.Seen)-1].Source
}

func TestMissingReportsAreFetched(t *testing.T) {
	inBubbleWithReconciler(t, func(t *testing.T, h *harness) {
		h.recordBatch(batch1)
		h.upstream.addFullReport(batch1, batchReport(batch1, true, ada, bob))
		h.advance(50 * time.Minute)
		h.recordDelivered(planA, batch1, ada)
		h.advance(59 * time.Minute)
		require.Empty(t, h.upstream.requests(getReport), "each report restarts the silence")
		h.advance(2 * time.Minute)

		require.Len(t, h.upstream.requests(getReport), 1)
		status, source := h.status(bob)
		require.Equal(t, dlr.Delivered, status)
		require.Equal(t, store.FromPoll, source)
		require.Equal(t, store.FeedbackSent, h.feedback(bob), "a fetched report earns feedback like a callback")
		require.Nil(t, h.batch(planA, batch1).Check)
		require.Equal(t, 1, stats(t, h).Polled)
		require.Equal(t, 1.0, h.metric("reconcile_reads_total", "plan", planA, "reason", "accepted"))

		h.advance(96 * time.Hour)
		require.Len(t, h.upstream.requests(getReport), 1, "no report is missing any more")
	})
}

func TestASilentBatchIsReadLessAndLessOften(t *testing.T) {
	inBubbleWithReconciler(t, func(t *testing.T, h *harness) {
		h.recordBatch(batch1)
		h.upstream.addFullReport(batch1, batchReport(batch1, true, ada)) // bob's phone is switched off
		begin := now()
		h.advance(96 * time.Hour)
		var asked []time.Duration
		for _, c := range h.upstream.requests(getReport) {
			asked = append(asked, c.at.Sub(begin).Truncate(10*time.Minute))
		}
		hours := func(h float64) time.Duration { return time.Duration(h * float64(time.Hour)) }
		require.Equal(t, []time.Duration{hours(1), hours(3), hours(7), hours(15), hours(24) + 10*time.Minute}, asked,
			"and a last time after the batch has expired")
		require.Equal(t, &store.Check{Asked: 5}, h.batch(planA, batch1).Check)
		require.Equal(t, 0, stats(t, h).Duplicates, "an unchanged answer does not count as a duplicate callback")
	})
}

func stats(t *testing.T, h *harness) store.PlanStats {
	t.Helper()
	plans, err := h.store.Stats(t.Context())
	require.NoError(t, err)
	require.Len(t, plans, 1)
	return plans[0]
}

func TestCheckNowReadsAtOnce(t *testing.T) {
	inBubbleWithReconciler(t, func(t *testing.T, h *harness) {
		h.recordBatch(batch1, func(f *store.Facts) { f.CheckNow = true })
		h.upstream.addFullReport(batch1, batchReport(batch1, true, ada, bob))
		h.advance(2 * time.Minute)
		require.Len(t, h.upstream.requests(getReport), 1)
		status, _ := h.status(ada)
		require.Equal(t, dlr.Delivered, status)
	})
}

// A definite refusal ends the reads of a batch.
func TestADefiniteRefusalEndsTheReads(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"unknown":  respond(404, ""),
		"rejected": respond(400, `{"code":"syntax_constraint_violation","text":"no"}`),
	} {
		t.Run(name, func(t *testing.T) {
			inBubbleWithReconciler(t, func(t *testing.T, h *harness) {
				h.recordBatch(batch1)
				h.upstream.fail(getReport, 1<<20, answer)
				h.advance(96 * time.Hour)
				require.Len(t, h.upstream.requests(getReport), 1)
				warned := h.log.with(t, "reconcile attempt")
				require.Len(t, warned, 1)
				require.Equal(t, "WARN", warned[0]["level"])
			})
		})
	}
}

// While Sinch fails, nothing is decided and the reads back off.
func TestMissingReportsAreFetchedAfterFailures(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"429":     respond(429, "", "Retry-After", "100"),
		"500":     respond(500, ""),
		"401":     respond(401, ""),
		"hangs":   respondAfter(time.Hour, respond(200, "")),
		"dropped": nil,
		"garbage": respond(200, "<html>"),
	} {
		t.Run(name, func(t *testing.T) {
			inBubbleWithReconciler(t, func(t *testing.T, h *harness) {
				h.recordBatch(batch1)
				h.upstream.addFullReport(batch1, batchReport(batch1, true, ada, bob))
				h.upstream.fail(getReport, 1<<20, answer)
				h.advance(5 * time.Hour)
				asked := len(h.upstream.requests(getReport))
				require.Greater(t, asked, 5)
				require.Less(t, asked, 80, "the backoff is capped at 10 minutes")
				require.NotNil(t, h.batch(planA, batch1).Check)
				h.upstream.heal()
				h.advance(time.Hour)
				require.Len(t, h.upstream.requests(getReport), asked+1)
				require.Nil(t, h.batch(planA, batch1).Check)
				require.Equal(t, 0, h.batch(planA, batch1).Lacking())
			})
		})
	}
}

func TestAStoreFailureRepeatsTheRead(t *testing.T) {
	for _, kind := range []storetest.Kind{storetest.NotApplied, storetest.Applied} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			inBubbleWithReconciler(t, func(t *testing.T, h *harness) {
				h.recordBatch(batch1)
				h.upstream.addFullReport(batch1, batchReport(batch1, true, ada, bob))
				h.advance(59 * time.Minute)
				h.store.FailRecord(kind, store.ErrBusy, 3)
				h.advance(time.Hour)
				require.Nil(t, h.batch(planA, batch1).Check)
				status, _ := h.status(bob)
				require.Equal(t, dlr.Delivered, status)
				require.Equal(t, 1, stats(t, h).Polled)
			})
		})
	}
}

func TestABatchThatAlwaysFailsDoesNotBlockOthers(t *testing.T) {
	inBubbleWithReconciler(t, func(t *testing.T, h *harness) {
		h.recordBatch("bad")
		h.upstream.addFullReport("bad", []byte("<html>"))
		h.advance(time.Minute)
		h.recordBatch(batch1)
		h.upstream.addFullReport(batch1, batchReport(batch1, true, ada, bob))
		h.advance(2 * time.Hour)
		require.Nil(t, h.batch(planA, batch1).Check)
		require.NotNil(t, h.batch(planA, "bad").Check)
	})
}

func TestReadsStayWithinTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		for i := range 120 {
			id := fmt.Sprint("batch-", i)
			h.recordBatch(id)
			h.upstream.addFullReport(id, batchReport(id, true, ada, bob))
		}
		h.advance(2 * time.Hour) // dlrloop was not running
		h.reconcile(ReconciledPlan{ID: planA, Rate: 2})
		h.advance(30 * time.Second)
		require.InDelta(t, 60, len(h.upstream.requests(getReport)), 2)
		h.advance(time.Minute)
		require.Len(t, h.upstream.requests(getReport), 120, "each batch once, although they fill more than one page")
	})
}

func TestNewReconcilerReportsBadConfiguration(t *testing.T) {
	m := metrics.New(prometheus.NewRegistry(), metrics.Config{})
	for want, p := range map[string]ReconciledPlan{
		`plan "" (number 1): id: it is empty`:        {},
		`plan "p" (number 1): client: it is not set`: {ID: "p"},
	} {
		_, err := NewReconciler(ReconcilerConfig{Plans: []ReconciledPlan{p}}, nil, m, slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, want)
	}
}

// A confirmation for everyone is sent once, as an empty list, before the recipients that the application named.
func TestAConfirmationForEveryoneIsItsOwnCall(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.upstream.addBatch(batch1, true)
		h.recordFlag(planA, batch1, true)
		h.record(planA, store.Confirmation{BatchID: batch1, Recipients: []string{ada}})
		h.record(planA, store.Confirmation{BatchID: batch1, Everyone: true})
		h.advance(time.Minute)
		calls := h.upstream.requests(postFeedback)
		require.Len(t, calls, 2)
		require.NotNil(t, calls[0].recipients)
		require.Empty(t, calls[0].recipients)
		require.Equal(t, []string{ada}, calls[1].recipients)
		require.Equal(t, store.FeedbackSent, h.batch(planA, batch1).Everyone)
		h.record(planA, store.Confirmation{BatchID: batch1, Everyone: true})
		h.advance(time.Hour)
		require.Len(t, h.upstream.requests(postFeedback), 2)
	})
}

func TestAConfirmationForEveryoneIsRetriedAndGivenUp(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.upstream.addBatch(batch1, true)
		h.recordFlag(planA, batch1, true)
		h.upstream.fail(postFeedback, 2, respond(500, ""))
		h.upstream.fail(postFeedback, 1,
			respond(400, `{"code":"syntax_constraint_violation","text":"the batch has a group"}`))
		h.record(planA, store.Confirmation{BatchID: batch1, Everyone: true})
		h.advance(time.Hour)
		require.Len(t, h.upstream.requests(postFeedback), 3)
		b := h.batch(planA, batch1)
		require.Equal(t, store.FeedbackDead, b.Everyone)
		require.Equal(t, store.ReasonRejected, b.Dead.Reason)
		_, err := h.store.Requeue(t.Context(), store.BatchKey{Plan: planA, BatchID: batch1}, now())
		require.NoError(t, err)
		h.advance(time.Minute)
		require.Equal(t, store.FeedbackSent, h.batch(planA, batch1).Everyone)
		require.Nil(t, h.batch(planA, batch1).Dead)
	})
}
