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

// inReconciledHouse runs a test in a house whose relay runs with a reconciler beside it, which may read often.
func inReconciledHouse(t *testing.T, test func(t *testing.T, h *house)) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, func(c *Config) { c.Plans[0].PollInterval = time.Minute })
		h.start()
		h.reconcile(ReconciledPlan{ID: planA, Rate: 100, PollInterval: time.Minute})
		test(t, h)
	})
}

// reconcile runs a reconciler for a plan until the end of the test.
func (h *house) reconcile(p ReconciledPlan) {
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

// went tells of a batch to ada and bob as a gateway would; it is valid for a day.
func (h *house) went(batchID string, change ...func(*store.Facts)) {
	h.t.Helper()
	f := store.Facts{
		BatchID: batchID, ReportKind: "per_recipient_final", FeedbackEnabled: true, Recipients: 2, Numbers: []string{ada, bob},
		CreatedAt: now(), ModifiedAt: now(), ExpireAt: now().Add(24 * time.Hour), Source: store.FromGateway,
	}
	for _, c := range change {
		c(&f)
	}
	h.upstream.knows(batchID, f.FeedbackEnabled)
	h.record(planA, f)
}

// status is the status that holds of one recipient of batch 1, and where it is known from.
func (h *house) status(number string) (dlr.Status, store.Source) {
	h.t.Helper()
	r, err := h.store.Recipient(h.t.Context(), store.BatchKey{Plan: planA, BatchID: batch1}, number)
	require.NoError(h.t, err)
	state, _ := r.State()
	if len(r.Seen) == 0 {
		return "", 0
	}
	return state.Status, r.Seen[len(r.Seen)-1].Source
}

func TestWhatWasNeverCalledBackIsAskedFor(t *testing.T) {
	inReconciledHouse(t, func(t *testing.T, h *house) {
		h.went(batch1)
		h.upstream.reportsFull(batch1, batchReport(batch1, true, ada, bob))
		h.pass(50 * time.Minute)
		h.delivered(planA, batch1, ada)
		h.pass(59 * time.Minute)
		require.Empty(t, h.upstream.asked(getReport), "the silence begins anew with each report")
		h.pass(2 * time.Minute)

		require.Len(t, h.upstream.asked(getReport), 1)
		status, source := h.status(bob)
		require.Equal(t, dlr.Delivered, status)
		require.Equal(t, store.FromPoll, source)
		require.Equal(t, store.FeedbackSent, h.feedback(bob), "what was found earns feedback as if it had been called back")
		require.Nil(t, h.batch(planA, batch1).Check)
		require.Equal(t, 1, stats(t, h).Polled)
		require.Equal(t, 1.0, h.counted("reconcile_reads_total", "plan", planA, "reason", "accepted"))

		h.pass(96 * time.Hour)
		require.Len(t, h.upstream.asked(getReport), 1, "nothing is missing any more")
	})
}

func TestABatchThatStaysSilentIsAskedAfterLessAndLess(t *testing.T) {
	inReconciledHouse(t, func(t *testing.T, h *house) {
		h.went(batch1)
		h.upstream.reportsFull(batch1, batchReport(batch1, true, ada)) // bob's phone is switched off
		begin := now()
		h.pass(96 * time.Hour)
		var asked []time.Duration
		for _, c := range h.upstream.asked(getReport) {
			asked = append(asked, c.at.Sub(begin).Truncate(10*time.Minute))
		}
		hours := func(h float64) time.Duration { return time.Duration(h * float64(time.Hour)) }
		require.Equal(t, []time.Duration{hours(1), hours(3), hours(7), hours(15), hours(24) + 10*time.Minute}, asked,
			"and a last time when the batch has expired")
		require.Equal(t, &store.Check{Asked: 5}, h.batch(planA, batch1).Check)
		require.Equal(t, 0, stats(t, h).Duplicates, "an answer that says the same again is no repeat of Sinch's")
	})
}

func stats(t *testing.T, h *house) store.PlanStats {
	t.Helper()
	plans, err := h.store.Stats(t.Context())
	require.NoError(t, err)
	require.Len(t, plans, 1)
	return plans[0]
}

func TestABatchThatIsToBeAskedAfterAtOnce(t *testing.T) {
	inReconciledHouse(t, func(t *testing.T, h *house) {
		h.went(batch1, func(f *store.Facts) { f.CheckNow = true })
		h.upstream.reportsFull(batch1, batchReport(batch1, true, ada, bob))
		h.pass(2 * time.Minute)
		require.Len(t, h.upstream.asked(getReport), 1)
		status, _ := h.status(ada)
		require.Equal(t, dlr.Delivered, status)
	})
}

// What Sinch will never tell is asked for once.
func TestAnswersThatEndTheAsking(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"unknown":  says(404, ""),
		"rejected": says(400, `{"code":"syntax_constraint_violation","text":"no"}`),
	} {
		t.Run(name, func(t *testing.T) {
			inReconciledHouse(t, func(t *testing.T, h *house) {
				h.went(batch1)
				h.upstream.fail(getReport, 1<<20, answer)
				h.pass(96 * time.Hour)
				require.Len(t, h.upstream.asked(getReport), 1)
				warned := h.log.with(t, "missing reports asked for")
				require.Len(t, warned, 1)
				require.Equal(t, "WARN", warned[0]["level"])
			})
		})
	}
}

// While Sinch is in trouble nothing is decided, and it is asked less and less.
func TestWhatIsMissingIsFoundWhateverSinchAnswersMeanwhile(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"429":     says(429, "", "Retry-After", "100"),
		"500":     says(500, ""),
		"401":     says(401, ""),
		"hangs":   hangs(time.Hour, says(200, "")),
		"dropped": nil,
		"garbage": says(200, "<html>"),
	} {
		t.Run(name, func(t *testing.T) {
			inReconciledHouse(t, func(t *testing.T, h *house) {
				h.went(batch1)
				h.upstream.reportsFull(batch1, batchReport(batch1, true, ada, bob))
				h.upstream.fail(getReport, 1<<20, answer)
				h.pass(5 * time.Hour)
				asked := len(h.upstream.asked(getReport))
				require.Greater(t, asked, 5)
				require.Less(t, asked, 80, "the back-off is capped at 10 minutes")
				require.NotNil(t, h.batch(planA, batch1).Check)
				h.upstream.heal()
				h.pass(time.Hour)
				require.Len(t, h.upstream.asked(getReport), asked+1)
				require.Nil(t, h.batch(planA, batch1).Check)
				require.Equal(t, 0, h.batch(planA, batch1).Lacking())
			})
		})
	}
}

func TestAStoreThatFailsMeansAskingAgain(t *testing.T) {
	for _, kind := range []storetest.Kind{storetest.NotApplied, storetest.Applied} {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			inReconciledHouse(t, func(t *testing.T, h *house) {
				h.went(batch1)
				h.upstream.reportsFull(batch1, batchReport(batch1, true, ada, bob))
				h.pass(59 * time.Minute)
				h.store.FailRecord(kind, store.ErrBusy, 3)
				h.pass(time.Hour)
				require.Nil(t, h.batch(planA, batch1).Check)
				status, _ := h.status(bob)
				require.Equal(t, dlr.Delivered, status)
				require.Equal(t, 1, stats(t, h).Polled)
			})
		})
	}
}

func TestABatchThatAlwaysFailsKeepsNoOtherWaiting(t *testing.T) {
	inReconciledHouse(t, func(t *testing.T, h *house) {
		h.went("bad")
		h.upstream.reportsFull("bad", []byte("<html>"))
		h.pass(time.Minute)
		h.went(batch1)
		h.upstream.reportsFull(batch1, batchReport(batch1, true, ada, bob))
		h.pass(2 * time.Hour)
		require.Nil(t, h.batch(planA, batch1).Check)
		require.NotNil(t, h.batch(planA, "bad").Check)
	})
}

func TestReadsKeepToTheirRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		for i := range 120 {
			id := fmt.Sprint("batch-", i)
			h.went(id)
			h.upstream.reportsFull(id, batchReport(id, true, ada, bob))
		}
		h.pass(2 * time.Hour) // nobody was there
		h.reconcile(ReconciledPlan{ID: planA, Rate: 2})
		h.pass(30 * time.Second)
		require.InDelta(t, 60, len(h.upstream.asked(getReport)), 2)
		h.pass(time.Minute)
		require.Len(t, h.upstream.asked(getReport), 120, "each once, though there are more than one page has")
	})
}

func TestReconcilersAreChecked(t *testing.T) {
	m := metrics.New(prometheus.NewRegistry(), metrics.Config{})
	for says, p := range map[string]ReconciledPlan{
		`plan "" (number 1): id: it is empty`:        {},
		`plan "p" (number 1): client: it is not set`: {ID: "p"},
	} {
		_, err := NewReconciler(ReconcilerConfig{Plans: []ReconciledPlan{p}}, nil, m, slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, says)
	}
}

// The application's word that everyone received the batch goes out as such, once, before those it named.
func TestEveryoneIsToldInACallOfItsOwn(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, true)
		h.flagged(planA, batch1, true)
		h.record(planA, store.Confirmation{BatchID: batch1, Recipients: []string{ada}})
		h.record(planA, store.Confirmation{BatchID: batch1, Everyone: true})
		h.pass(time.Minute)
		calls := h.upstream.asked(postFeedback)
		require.Len(t, calls, 2)
		require.NotNil(t, calls[0].recipients)
		require.Empty(t, calls[0].recipients)
		require.Equal(t, []string{ada}, calls[1].recipients)
		require.Equal(t, store.FeedbackSent, h.batch(planA, batch1).Everyone)
		h.record(planA, store.Confirmation{BatchID: batch1, Everyone: true})
		h.pass(time.Hour)
		require.Len(t, h.upstream.asked(postFeedback), 2)
	})
}

func TestEveryoneIsTriedAgainAndGivenUpLikeAnybody(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, true)
		h.flagged(planA, batch1, true)
		h.upstream.fail(postFeedback, 2, says(500, ""))
		h.upstream.fail(postFeedback, 1, says(400, `{"code":"syntax_constraint_violation","text":"the batch has a group"}`))
		h.record(planA, store.Confirmation{BatchID: batch1, Everyone: true})
		h.pass(time.Hour)
		require.Len(t, h.upstream.asked(postFeedback), 3)
		b := h.batch(planA, batch1)
		require.Equal(t, store.FeedbackDead, b.Everyone)
		require.Equal(t, store.ReasonRejected, b.Dead.Reason)
		_, err := h.store.Requeue(t.Context(), store.BatchKey{Plan: planA, BatchID: batch1}, now())
		require.NoError(t, err)
		h.pass(time.Minute)
		require.Equal(t, store.FeedbackSent, h.batch(planA, batch1).Everyone)
		require.Nil(t, h.batch(planA, batch1).Dead)
	})
}
