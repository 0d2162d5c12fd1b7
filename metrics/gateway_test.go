package metrics_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/metrics"
)

func TestGatewayCounts(t *testing.T) {
	m, r := newMetrics(t, "p")
	for _, outcome := range []string{"2xx", "4xx", "5xx", "unreachable", "refused"} {
		for _, op := range []string{
			"send", "dry_run", "list", "get", "update", "replace", "cancel", "feedback", "report", "other",
		} {
			require.Contains(t, exported(t, r), "gateway_requests_total{operation="+op+",outcome="+outcome+"}")
		}
	}
	m.GatewayRequest(metrics.GatewaySend, metrics.GatewaySucceeded, time.Second)
	m.GatewayRequest(metrics.GatewayList, metrics.GatewayUnreachable, time.Second)
	m.GatewayRequest("tomorrow", "tomorrow", time.Second)
	m.GatewayRequest(metrics.GatewayOther, metrics.GatewayRefused, time.Second)
	m.GatewayObserved("p", metrics.ObservedRecorded, 3)
	m.GatewayObserved("p", metrics.ObservedLost, 1)

	series := exported(t, r)
	for name, value := range map[string]float64{
		"gateway_requests_total{operation=send,outcome=2xx}":         1,
		"gateway_requests_total{operation=list,outcome=unreachable}": 1,
		"gateway_requests_total{operation=other,outcome=other}":      1,
		"gateway_requests_total{operation=other,outcome=refused}":    1,
		"gateway_duration_seconds{operation=send}":                   1,
		"gateway_duration_seconds{operation=feedback}":               0,
		"gateway_duration_seconds{operation=other}":                  3,
		"gateway_observed_total{plan=p,result=recorded}":             3,
		"gateway_observed_total{plan=p,result=lost}":                 1,
		"gateway_observed_total{plan=p,result=late}":                 0,
		"gateway_observed_total{plan=p,result=unreadable}":           0,
	} {
		require.Contains(t, series, name)
		require.Equal(t, value, series[name], name)
	}
}
