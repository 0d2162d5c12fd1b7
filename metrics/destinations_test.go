package metrics_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
)

func TestDestinations(t *testing.T) {
	r := prometheus.NewRegistry()
	m := metrics.New(r, metrics.Config{Destinations: []string{"app", "crm"}})
	before := exported(t, r)
	for _, name := range []string{"app", "crm"} {
		require.Contains(t, before, "destination_attempts_total{destination="+name+",reason=timeout}")
		require.NotContains(t, before, "destination_attempts_total{destination="+name+",reason=overflow}")
		require.Equal(t, 1.0, before["destination_circuit_state{destination="+name+",state=closed}"])
	}
	m.DestinationAttempt("app", store.DeliveryServer, time.Second)
	m.DestinationEvents("app", metrics.DestinationDelivered, 3)
	m.DestinationState("app", metrics.DestinationState{Waiting: 4, Oldest: time.Minute, Dead: 5, Paused: true})
	m.DestinationCircuit("app", "open")
	after := exported(t, r)
	for series, value := range before {
		if after[series] == value {
			delete(after, series)
		}
	}
	for series := range after { // the runtime's own
		if _, ours := before[series]; !ours || series[:3] == "go_" || series[:3] == "pro" {
			delete(after, series)
		}
	}
	require.Equal(t, map[string]float64{
		"destination_attempts_total{destination=app,reason=server}":  1,
		"destination_attempt_duration_seconds":                       1,
		"destination_events_total{destination=app,result=delivered}": 3,
		"destination_waiting{destination=app}":                       4,
		"destination_oldest_seconds{destination=app}":                60,
		"destination_dead{destination=app}":                          5,
		"destination_paused{destination=app}":                        1,
		"destination_circuit_state{destination=app,state=closed}":    0,
		"destination_circuit_state{destination=app,state=open}":      1,
	}, after)

	m.DestinationState("app", metrics.DestinationState{})
	require.Zero(t, exported(t, r)["destination_paused{destination=app}"])
}
