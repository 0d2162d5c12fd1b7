package metrics_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

func TestReplicasAndLeaderLeases(t *testing.T) {
	m, r := newMetrics(t, "p")
	g := store.Gauges{
		Replica: "web-1", Replicas: []string{"web-1", "web-2"},
		Leaders: map[string]string{store.LeaseReconcile: "web-2"},
	}
	m.Store(func() store.Gauges { return g })
	shared := func() map[string]float64 {
		found := make(map[string]float64)
		for name, value := range exported(t, r) {
			if strings.Contains(name, "replica") || strings.Contains(name, "lease") {
				found[name] = value
			}
		}
		return found
	}
	want := map[string]float64{
		"replica_info{replica=web-1}": 1, "store_replicas": 2,
		"leader_lease_held{lease=destinations}": 0, "leader_lease_held{lease=reconcile}": 0,
		"leader_lease_held{lease=retention}":    0,
		"store_errors_total{operation=replica}": 0,
	}
	require.Equal(t, want, shared())
	g.Leaders[store.LeaseRetention] = "web-1"
	want["leader_lease_held{lease=retention}"] = 1
	require.Equal(t, want, shared())

	g = store.Gauges{}
	require.Equal(t, map[string]float64{"store_errors_total{operation=replica}": 0}, shared(),
		"a store on disk is not shared")
}
