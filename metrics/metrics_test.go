package metrics_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
)

func newMetrics(t testing.TB, plans ...string) (*metrics.Metrics, *prometheus.Registry) {
	t.Helper()
	r := prometheus.NewRegistry()
	return metrics.New(r, metrics.Config{Plans: plans, Version: "1.2.3"}), r
}

// exported returns dlrloop's series by name and sorted labels: name{a=b,c=d}. The value of a histogram is its count.
func exported(t testing.TB, r prometheus.Gatherer) map[string]float64 {
	t.Helper()
	series := make(map[string]float64)
	for _, family := range gather(t, r) {
		for _, m := range family.GetMetric() {
			labels := make([]string, 0, len(m.GetLabel()))
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			name := strings.TrimPrefix(family.GetName(), "dlrloop_")
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			series[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return series
}

func gather(t testing.TB, r prometheus.Gatherer) []*dto.MetricFamily {
	t.Helper()
	families, err := r.Gather()
	require.NoError(t, err)
	return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool {
		return !strings.HasPrefix(f.GetName(), "dlrloop_")
	})
}

func TestEverythingExistsBeforeItsFirstUse(t *testing.T) {
	m, r := newMetrics(t, "p")
	m.Store(func() store.Gauges { return store.Gauges{} })

	one := []string{
		"build_info{goversion=", "config_last_reload_successful", "feedback_circuit_state{plan=p,state=closed}",
	}
	series := exported(t, r)
	for name, value := range series {
		isOne := slices.ContainsFunc(one, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		require.Equal(t, map[bool]float64{true: 1}[isOne], value, name)
	}
	want := []string{
		"callback_lag_seconds", "ingest_duration_seconds", "commit_size", "commit_duration_seconds",
		"feedback_call_duration_seconds", "store_size_bytes", "store_free_bytes", "quarantine_entries",
		"store_unfolded_arrivals", "store_limit_bytes", "operator_lag_seconds", "messages_missing{plan=p}",
		"quarantine_evicted_total", "config_last_reload_successful",
		"callbacks_total{outcome=unknown_plan,plan=other,type=other}",
		"lossy_responses_total{plan=p}", "duplicates_total{plan=p}", "reconciled_total{plan=p}",
		"feedback_oldest_due_seconds{plan=p}", "feedback_tasks{plan=p,state=pending}", "feedback_tasks{plan=p,state=dead}",
		"messages_total{code_class=none,plan=p,status=Delivered}", "messages_total{code_class=other,plan=p,status=other}",
	}
	for _, typ := range []dlr.Type{dlr.BatchSMS, dlr.BatchMMS, dlr.RecipientSMS, dlr.RecipientMMS} {
		for _, outcome := range []string{"stored", "quarantined"} {
			want = append(want, fmt.Sprintf("callbacks_total{outcome=%s,plan=p,type=%s}", outcome, typ))
		}
	}
	for _, typ := range []dlr.Type{dlr.MOText, dlr.MOBinary, dlr.MOMedia} {
		want = append(want, fmt.Sprintf("callbacks_total{outcome=inbound,plan=p,type=%s}", typ))
	}
	for _, outcome := range []string{
		"quarantined", "busy", "failed", "unauthorized", "too_large", "too_large_unverified", "shed", "shed_unverified",
		"incomplete",
	} {
		want = append(want, fmt.Sprintf("callbacks_total{outcome=%s,plan=p,type=other}", outcome))
	}
	for _, s := range []string{"Delivered", "Failed", "Rejected", "Expired", "other"} {
		want = append(want, fmt.Sprintf("delivery_latency_seconds{status=%s}", s))
	}
	for _, reason := range store.FeedbackReasons() {
		if reason != store.ReasonUnknownPlan {
			want = append(want, fmt.Sprintf("feedback_calls_total{plan=p,reason=%s}", reason))
		}
		if reason != store.ReasonNotANumber {
			want = append(want, fmt.Sprintf("reconcile_reads_total{plan=p,reason=%s}", reason))
		}
	}
	for _, result := range []string{"earned", "accepted", "dead", "requeued", "deleted"} {
		want = append(want, fmt.Sprintf("feedback_recipients_total{plan=p,result=%s}", result))
	}
	for _, result := range []string{"found", "unknown", "unknown_plan", "failed"} {
		want = append(want, fmt.Sprintf("batch_lookups_total{plan=p,result=%s}", result))
	}
	for _, state := range []string{"closed", "half_open", "open"} {
		want = append(want, fmt.Sprintf("feedback_circuit_state{plan=p,state=%s}", state))
	}
	for _, operation := range []string{"commit", "fold", "read", "expire"} {
		want = append(want, fmt.Sprintf("store_errors_total{operation=%s}", operation))
	}
	for _, name := range want {
		require.Contains(t, series, name)
	}
}

func TestNamesAndHelpPassPrometheusLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(registryWithAllSeries(t, 1))
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestCallbackCounts(t *testing.T) {
	m, r := newMetrics(t, "p")
	m.Callback("p", dlr.RecipientSMS, metrics.Stored, time.Millisecond)
	m.Callback("p", dlr.RecipientSMS, metrics.Stored, time.Millisecond)
	m.Callback("p", "", metrics.Unauthorized, time.Millisecond)
	m.Callback("p", "tomorrow_report", metrics.Quarantined, time.Millisecond)
	m.Callback("p", dlr.RecipientSMS, metrics.Busy, time.Millisecond)
	m.Callback("nobody", "", metrics.UnknownPlan, time.Millisecond)
	m.Lossy("p")

	series := exported(t, r)
	require.Equal(t, 2.0, series["callbacks_total{outcome=stored,plan=p,type=recipient_delivery_report_sms}"])
	require.Equal(t, 1.0, series["callbacks_total{outcome=unauthorized,plan=p,type=other}"])
	require.Equal(t, 1.0, series["callbacks_total{outcome=quarantined,plan=p,type=other}"])
	require.Equal(t, 1.0, series["callbacks_total{outcome=unknown_plan,plan=other,type=other}"])
	require.Equal(t, 1.0, series["lossy_responses_total{plan=p}"])
	require.Equal(t, 1.0, series["callbacks_total{outcome=busy,plan=p,type=other}"],
		"only callbacks answered 200 are counted by type")
	require.Equal(t, 6.0, series["ingest_duration_seconds"])
}

func TestFeedbackCounts(t *testing.T) {
	m, r := newMetrics(t, "p")
	m.FeedbackCall("p", store.ReasonAuth, time.Second)
	m.FeedbackCall("p", "tomorrow", time.Second)
	m.BatchLookup("p", "unknown")
	m.BatchLookup("p", "tomorrow")
	m.Circuit("p", "open")
	m.ConfigReloaded(false)
	m.CertificateExpires("public", time.Unix(1_800_000_000, 5e8))

	series := exported(t, r)
	require.Equal(t, 1.0, series["feedback_calls_total{plan=p,reason=auth}"])
	require.Equal(t, 1.0, series["feedback_calls_total{plan=p,reason=other}"])
	require.Equal(t, 2.0, series["feedback_call_duration_seconds"])
	require.Equal(t, 1.0, series["batch_lookups_total{plan=p,result=unknown}"])
	require.Equal(t, 1.0, series["batch_lookups_total{plan=p,result=other}"])
	require.Equal(t, 1.0, series["feedback_circuit_state{plan=p,state=open}"])
	require.Equal(t, 0.0, series["feedback_circuit_state{plan=p,state=closed}"])
	require.Equal(t, 0.0, series["config_last_reload_successful"])
	require.Equal(t, 1.8e9, series["tls_certificate_expiry_timestamp_seconds{listener=public}"])

	m.Circuit("p", "closed")
	m.ConfigReloaded(true)
	series = exported(t, r)
	require.Equal(t, 0.0, series["feedback_circuit_state{plan=p,state=open}"])
	require.Equal(t, 1.0, series["feedback_circuit_state{plan=p,state=closed}"])
	require.Equal(t, 1.0, series["config_last_reload_successful"])
}

func TestStoreLimitIsTheConfiguredOne(t *testing.T) {
	r := prometheus.NewRegistry()
	metrics.New(r, metrics.Config{StoreLimit: 50 << 30})
	require.Equal(t, float64(50<<30), exported(t, r)["store_limit_bytes"])
}

// A pair that Sinch does not document counts under the class other and its own status.
func TestMessagesInAnUndocumentedPair(t *testing.T) {
	m, r := newMetrics(t, "p")
	o := m.Observer()
	o.Folded(ended("447700900133", dlr.Unknown, 1))
	for _, code := range []int{150, 250, 402} {
		o.Folded([]store.Changes{
			{Plan: "p", Applied: []store.Applied{{State: dlr.State{Status: dlr.Unknown, Code: code}, Messages: 2}}},
		})
	}
	series := exported(t, r)
	require.Equal(t, 1.0, series["messages_total{code_class=none,plan=p,status=Unknown}"])
	require.Equal(t, 6.0, series["messages_total{code_class=other,plan=p,status=Unknown}"])
	require.NotContains(t, series, "messages_total{code_class=hlr,plan=p,status=Unknown}")
}

// Label values never come from outside, whatever callers pass.
func TestLabelsAreClosedSets(t *testing.T) {
	m, r := newMetrics(t, "p")
	o := m.Observer()
	for i := range 50 {
		odd := fmt.Sprintf("odd%d", i)
		m.Callback(odd, dlr.Type(odd), metrics.Stored, 0)
		m.Lossy(odd)
		m.FeedbackCall(odd, store.Reason(odd), 0)
		m.BatchLookup(odd, odd)
		m.Circuit(odd, odd)
		o.Failed(odd, errors.New(odd))
		applied := store.Applied{State: dlr.State{Status: dlr.Status(odd), Code: 7000 + i}, Number: odd, Messages: 1}
		o.Folded([]store.Changes{{Plan: odd, BatchID: odd, Applied: []store.Applied{applied}}})
	}
	m.Store(func() store.Gauges {
		return store.Gauges{
			Plans: map[string]store.PlanGauges{
				"odd1": {Tally: store.Tally{DeadTasks: 1}}, "odd2": {Tally: store.Tally{DeadTasks: 2}},
			},
		}
	})
	series := exported(t, r)
	for name := range series {
		require.NotContains(t, name, "odd")
	}
	require.Equal(t, 50.0, series["callbacks_total{outcome=stored,plan=other,type=other}"])
	require.Equal(t, 50.0, series["messages_total{code_class=other,plan=other,status=other}"])
	require.Equal(t, 50.0, series["store_errors_total{operation=other}"])
	require.Equal(t, 3.0, series["feedback_tasks{plan=other,state=dead}"])
}

func TestCountingACallbackDoesNotAllocate(t *testing.T) {
	m, _ := newMetrics(t, "p")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		m.Callback("p", dlr.RecipientSMS, metrics.Stored, time.Millisecond)
	}))
}

func BenchmarkCallback(b *testing.B) {
	m, _ := newMetrics(b, "p")
	b.ReportAllocs()
	for b.Loop() {
		m.Callback("p", dlr.RecipientSMS, metrics.Stored, time.Millisecond)
	}
}

func BenchmarkFolded(b *testing.B) {
	m, _ := newMetrics(b, "p")
	folded := m.Observer().Folded
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	changes := []store.Changes{{Plan: "p", Applied: []store.Applied{{
		State: dlr.State{Status: dlr.Delivered, At: at}, Number: "447700900133", Messages: 1,
		ReceivedAt: at.Add(time.Second), SentAt: at.Add(-time.Minute),
	}}}}
	b.ReportAllocs()
	for b.Loop() {
		folded(changes)
	}
}
