package metrics_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
)

// countSeries counts the series of a scrape that of accepts. Each bucket of a histogram is a series.
func countSeries(t *testing.T, r *prometheus.Registry, of func(line string) bool) int {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r, promhttp.HandlerOpts{Registry: r}).ServeHTTP(w,
		httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code)
	lines := 0
	for line := range strings.Lines(w.Body.String()) {
		if !strings.HasPrefix(line, "#") && of(line) {
			lines++
		}
	}
	return lines
}

func ours(line string) bool { return strings.HasPrefix(line, "dlrloop_") }

func all(string) bool { return true }

// registryWithAllSeries returns a registry in which every series exists that this number of plans can ever have: all
// that dlrloop's code can count, and odd values for all that comes from outside.
func registryWithAllSeries(t *testing.T, plans int) *prometheus.Registry {
	t.Helper()
	names := make([]string, plans)
	for i := range names {
		names[i] = fmt.Sprint("plan-", i)
	}
	m, r := newMetrics(t, names...)
	m.Store(func() store.Gauges { return store.Gauges{Replica: "a", Replicas: []string{"a"}} })
	o := m.Observer()
	outcomes := []metrics.Outcome{
		metrics.Stored, metrics.Inbound, metrics.Quarantined, metrics.Busy, metrics.Failed, metrics.Unauthorized,
		metrics.TooLarge, metrics.TooLargeUnverified, metrics.Shed, metrics.ShedUnverified, metrics.Incomplete,
	}
	for _, plan := range names {
		for _, outcome := range outcomes {
			for _, typ := range append(dlr.Types(), "", "odd") {
				switch {
				case outcome == metrics.Stored && !typ.Batch() && !typ.Recipient(), outcome == metrics.Inbound && !typ.Inbound():
				default:
					m.Callback(plan, typ, outcome, 0)
				}
			}
		}
		m.Lossy(plan)
		for _, reason := range store.FeedbackReasons() {
			m.FeedbackCall(plan, reason, 0)
			m.ReconcileRead(plan, reason)
		}
		for _, result := range []string{"found", "unknown", "unknown_plan", "failed"} {
			m.BatchLookup(plan, result)
		}
		m.FeedbackRate(plan, 1, 2)
		for _, state := range []string{"half_open", "open", "closed"} {
			m.Circuit(plan, state)
		}
		for _, l := range []metrics.Observed{
			metrics.ObservedRecorded, metrics.ObservedLate, metrics.ObservedLost, metrics.ObservedUnreadable,
		} {
			m.GatewayObserved(plan, l, 1)
		}
		taken := make([]store.Applied, 0, 10_000)
		for _, status := range append(dlr.Statuses(), "Odd", "Odder") {
			for code := -1; code < 1000; code++ {
				number := fmt.Sprint(1000+len(taken)%9000, "5550100")
				taken = append(taken, store.Applied{
					State: dlr.State{Status: status, Code: code, At: sent, OperatorAt: sent}, Number: number,
					Messages: 1, ReceivedAt: sent, SentAt: sent,
				})
			}
		}
		o.Folded([]store.Changes{{Plan: plan, Duplicates: 1, Earned: 1, Accepted: 1, Dead: 1, Requeued: 1, Applied: taken}})
		o.Deleted(plan, 1, 1)
	}
	certificates(m)
	m.Callback("a stranger's", "", metrics.UnknownPlan, 0)
	for _, operation := range []string{"commit", "fold", "read", "expire", "replica"} {
		o.Failed(operation, errors.New("no"))
	}
	for _, op := range []metrics.GatewayOperation{
		metrics.GatewaySend, metrics.GatewayDryRun, metrics.GatewayList, metrics.GatewayGet, metrics.GatewayUpdate,
		metrics.GatewayReplace,
		metrics.GatewayCancel, metrics.GatewayFeedback, metrics.GatewayReport, metrics.GatewayOther,
	} {
		for _, outcome := range []metrics.GatewayOutcome{
			metrics.GatewaySucceeded, metrics.GatewayRejected, metrics.GatewayFailed, metrics.GatewayUnreachable,
			metrics.GatewayRefused,
		} {
			m.GatewayRequest(op, outcome, 0)
		}
	}
	return r
}

// certificates sets the expiry of every listener that can have a certificate.
func certificates(m *metrics.Metrics) {
	for _, listener := range []string{"public", "gateway"} {
		m.CertificateExpires(listener, time.Now())
	}
}

// A replica with five plans that has counted every country, status, code and outcome stays within the series budget.
func TestSeriesBudget(t *testing.T) {
	require.Less(t, countSeries(t, registryWithAllSeries(t, 5), all), 1000)
}

func TestEveryPlanHasTheSameNumberOfSeries(t *testing.T) {
	count := func(plans int) int { return countSeries(t, registryWithAllSeries(t, plans), ours) }
	one, two, five := count(1), count(2), count(5)
	require.Equal(t, five-two, 3*(two-one))
}
