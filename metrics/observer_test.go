package metrics_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/fold"
)

var sent = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func recipientReport(number string, status dlr.Status, code int, at time.Time) *dlr.Report {
	return &dlr.Report{Type: dlr.RecipientSMS, BatchID: "b", Total: 1, Entries: []dlr.Entry{{
		State: dlr.State{Status: status, Code: code, At: at}, Count: 1, Recipients: []string{number},
	}}}
}

// folds returns the changes of folding entries of one batch, each received a second after the one before.
func folds(plan string, entries ...store.Entry) []store.Changes {
	arrivals := make([]store.Arrival, 0, len(entries))
	for i, n := range entries {
		arrivals = append(arrivals, store.Arrival{
			Plan: plan, At: sent.Add(time.Minute + time.Duration(i)*time.Second), Entry: n,
		})
	}
	rows := &fold.Rows{Batch: &store.Batch{Plan: plan, ID: "b"}, Recipients: make(map[string]*fold.Row)}
	return []store.Changes{fold.Fold(rows, arrivals, store.Policy{})}
}

func TestFoldedCountsOnlyChanges(t *testing.T) {
	m, r := newMetrics(t, "p")
	delivered := recipientReport("447700900133", dlr.Delivered, 0, sent.Add(50*time.Second))
	m.Observer().Folded(folds("p",
		store.BatchInfo{BatchID: "b", FeedbackEnabled: true, CreatedAt: sent},
		store.Report{Report: recipientReport("447700900133", dlr.Dispatched, 401, sent.Add(10*time.Second))},
		store.Report{Report: delivered},
		store.Report{Report: delivered}, // a repeat
		store.Report{Report: recipientReport("447700900133", dlr.Delivered, 0, sent.Add(52*time.Second))},
		store.Report{
			Report: recipientReport("447700900134", dlr.Failed, 153, sent.Add(55*time.Second)),
			Source: store.FromPoll,
		},
		store.Settlement{BatchID: "b", Recipients: []string{"447700900133"}, Outcome: store.OutcomeAccepted},
	))
	series := exported(t, r)
	require.Equal(t, 1.0, series["messages_total{code_class=queue,plan=p,status=Dispatched}"])
	require.Equal(t, 1.0, series["messages_total{code_class=none,plan=p,status=Delivered}"])
	require.Equal(t, 1.0, series["messages_total{code_class=hlr,plan=p,status=Failed}"])
	require.Equal(t, 1.0, series["duplicates_total{plan=p}"])
	require.Equal(t, 1.0, series["reconciled_total{plan=p}"])
	require.Equal(t, 1.0, series["feedback_recipients_total{plan=p,result=earned}"])
	require.Equal(t, 1.0, series["feedback_recipients_total{plan=p,result=accepted}"])
	require.Equal(t, 3.0, series["callback_lag_seconds"], "the repeat and the fetched report do not count")
	require.Equal(t, 1.0, series["delivery_latency_seconds{status=Delivered}"], "only the first report counts")
	require.Equal(t, 1.0, series["delivery_latency_seconds{status=Failed}"])
	require.Equal(t, 50.0, sum(t, r, "dlrloop_delivery_latency_seconds", "Delivered"))
	require.Equal(t, 51.0+12.0+12.0, sum(t, r, "dlrloop_callback_lag_seconds", ""))
}

func TestFoldedCountsDeadAndRequeued(t *testing.T) {
	m, r := newMetrics(t, "p")
	m.Observer().Folded(folds("p",
		store.Report{Report: recipientReport("447700900133", dlr.Delivered, 0, sent)},
		store.Settlement{
			BatchID: "b", Recipients: []string{"447700900133"}, Outcome: store.OutcomeDead, Reason: store.ReasonRejected,
		},
		store.Requeue{BatchID: "b", Recipients: []string{"447700900133"}},
	))
	series := exported(t, r)
	require.Equal(t, 1.0, series["feedback_recipients_total{plan=p,result=dead}"])
	require.Equal(t, 1.0, series["feedback_recipients_total{plan=p,result=requeued}"])
}

// A summary counts all its messages at once. It has no time from which to observe a lag or a latency.
func TestFoldedCountsASummary(t *testing.T) {
	m, r := newMetrics(t, "p")
	m.Observer().Folded(folds("p",
		store.BatchInfo{BatchID: "b", CreatedAt: sent},
		store.Report{Report: &dlr.Report{Type: dlr.BatchSMS, BatchID: "b", Total: 40, Entries: []dlr.Entry{
			{State: dlr.State{Status: dlr.Delivered}, Count: 38}, {
				State: dlr.State{Status: dlr.Status("Bounced"), Code: 9999}, Count: 2,
			},
		}}}))
	series := exported(t, r)
	require.Equal(t, 38.0, series["messages_total{code_class=none,plan=p,status=Delivered}"])
	require.Equal(t, 2.0, series["messages_total{code_class=other,plan=p,status=other}"])
	require.Zero(t, series["callback_lag_seconds"])
	require.Zero(t, series["delivery_latency_seconds{status=Delivered}"])
}

func TestClockSkewGivesNoNegativeTimes(t *testing.T) {
	m, r := newMetrics(t, "p")
	m.Observer().Folded(folds("p",
		store.BatchInfo{BatchID: "b", CreatedAt: sent},
		store.Report{Report: recipientReport("447700900133", dlr.Delivered, 0, sent.Add(-time.Hour))},
		store.Report{Report: recipientReport("447700900134", dlr.Delivered, 0, sent.Add(time.Hour))},
	))
	require.Equal(t, 62.0, sum(t, r, "dlrloop_delivery_latency_seconds", "Delivered"),
		"a time an hour ahead is replaced by the arrival")
	require.Equal(t, 3600.0+61.0, sum(t, r, "dlrloop_callback_lag_seconds", ""))
}

func TestCommitsAndFailures(t *testing.T) {
	m, r := newMetrics(t, "p")
	o := m.Observer()
	o.Committed(75, 20000, 2*time.Millisecond, nil)
	o.Committed(5, 100, time.Second, errors.New("disk full"))
	o.Failed("commit", errors.New("disk full"))
	o.Evicted(3)
	series := exported(t, r)
	require.Equal(t, 1.0, series["commit_size"])
	require.Equal(t, 1.0, series["commit_duration_seconds"])
	require.Equal(t, 75.0, sum(t, r, "dlrloop_commit_size", ""))
	require.Equal(t, 1.0, series["store_errors_total{operation=commit}"])
	require.Equal(t, 3.0, series["quarantine_evicted_total"])
}

func TestStoreFiguresAreReadAtTheScrape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, r := newMetrics(t, "p", "quiet")
		reads, now := 0, time.Now()
		m.Store(func() store.Gauges {
			reads++
			return store.Gauges{
				SizeBytes: 4096, FreeBytes: 1024, QuarantineEntries: 2, Unfolded: 7,
				Plans: map[string]store.PlanGauges{
					"p": {
						Tally:     store.Tally{PendingTasks: 3, DeadTasks: 1, Owed: 30, Dropped: 4, Sent: 99, Dead: 5, Missing: 70},
						OldestDue: now,
					},
					"gone":   {Tally: store.Tally{PendingTasks: 1, Missing: 8}, OldestDue: now.Add(10 * time.Second)},
					"gone2":  {Tally: store.Tally{PendingTasks: 1}, OldestDue: now.Add(5 * time.Second)},
					"gone3":  {Tally: store.Tally{DeadTasks: 1, Missing: 2}},
					"zeroed": {},
				},
			}
		})
		require.Zero(t, reads)
		time.Sleep(90 * time.Second)
		series := exported(t, r)
		require.Equal(t, 1, reads)
		require.Equal(t, 4096.0, series["store_size_bytes"])
		require.Equal(t, 1024.0, series["store_free_bytes"])
		require.Equal(t, 2.0, series["quarantine_entries"])
		require.Equal(t, 7.0, series["store_unfolded_arrivals"])
		require.Equal(t, 3.0, series["feedback_tasks{plan=p,state=pending}"])
		require.Equal(t, 1.0, series["feedback_tasks{plan=p,state=dead}"])
		require.Equal(t, 30.0, series["feedback_task_recipients{plan=p,state=pending}"])
		require.Equal(t, 5.0, series["feedback_task_recipients{plan=p,state=dead}"])
		require.Equal(t, 4.0, series["feedback_task_recipients{plan=p,state=dropped}"])
		require.Equal(t, 90.0, series["feedback_oldest_due_seconds{plan=p}"])
		require.Equal(t, 0.0, series["feedback_oldest_due_seconds{plan=quiet}"])
		require.Equal(t, 2.0, series["feedback_tasks{plan=other,state=pending}"])
		require.Equal(t, 70.0, series["messages_missing{plan=p}"])
		require.Equal(t, 0.0, series["messages_missing{plan=quiet}"])
		require.Equal(t, 10.0, series["messages_missing{plan=other}"])
		require.Equal(t, 85.0, series["feedback_oldest_due_seconds{plan=other}"])
	})
}

func TestATaskThatIsNotDueHasNoAge(t *testing.T) {
	m, r := newMetrics(t, "p")
	m.Store(func() store.Gauges {
		return store.Gauges{Plans: map[string]store.PlanGauges{"p": {OldestDue: time.Now().Add(time.Hour)}}}
	})
	require.Contains(t, exported(t, r), "feedback_oldest_due_seconds{plan=p}")
	require.Zero(t, exported(t, r)["feedback_oldest_due_seconds{plan=p}"])
}

// sum returns the sum of a histogram. status selects one of several.
func sum(t *testing.T, r prometheus.Gatherer, name, status string) float64 {
	t.Helper()
	for _, f := range gather(t, r) {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (status == "" || m.GetLabel()[0].GetValue() == status) {
				return m.GetHistogram().GetSampleSum()
			}
		}
	}
	require.Fail(t, "no such series", name)
	return 0
}
