package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReplicasRollingRestart restarts one replica after the other while callbacks come through the balancer. Every
// callback must be answered 200 or 503, no feedback call may be repeated, and running replicas must take over the
// leader leases. The long test restarts each replica twice.
func TestReplicasRollingRestart(t *testing.T) {
	t.Parallel()
	rounds := 1
	if long() {
		rounds = 2
	}
	sinch, origin := newSinch(t, uint64(time.Now().UnixNano()))
	c := newCluster(t, sinch, origin, postgres.Database(t), "shutdown_delay: 500ms",
		"coalesce: 50ms, rate: 600, timeout: 1m")
	c.start()
	stopLoad := startLoad(t, sinch, origin, 100)
	c.waitServing()
	handedOver := map[string]int{}
	for round := range rounds {
		for left := slices.Clone(c.replicas); len(left) > 0; {
			held := waitLeases(t, left[0], c.replicas)
			r := next(left, held, handedOver)
			left = slices.DeleteFunc(left, func(one *replica) bool { return one == r })
			others := slices.DeleteFunc(slices.Clone(c.replicas), func(other *replica) bool { return other == r })
			r.stop()
			if round == 0 && (long() || len(handedOver) < len(leases)) { // waiting for the leases takes some seconds
				for lease, holder := range waitLeases(t, others[0], others) {
					if holder != held[lease] {
						handedOver[lease]++
					}
				}
			}
			c.waitCallbacks(100)
			r.start()
			c.waitServing()
		}
	}
	stopLoad()
	c.waitSettled()

	ledger := sinch.Ledger()
	checkAnswers(t, ledger, http.StatusOK, http.StatusServiceUnavailable)
	checkStates(t, c.replicas[0].program, ledger)
	checkReplicas(t, c, ledger)
	checkFeedback(t, ledger, 0)
	t.Logf("leases handed over: %v", handedOver)
	for _, lease := range leases {
		assert.NotZero(t, handedOver[lease], "another replica must take over the lease %s when its holder stops", lease)
	}
	for _, r := range c.replicas {
		r.stop()
		checkLog(t, r, rounds+1)
	}
}

// next selects the replica to restart: one that holds a lease that was not handed over yet, else any of left.
func next(left []*replica, held map[string]string, handedOver map[string]int) *replica {
	for _, lease := range leases {
		i := slices.IndexFunc(left, func(r *replica) bool { return handedOver[lease] == 0 && r.id == held[lease] })
		if i >= 0 {
			return left[i]
		}
	}
	return left[0]
}

// leases are the leader leases.
var leases = []string{"reconcile", "retention"}

// waitLeases waits until each lease is held by one of these replicas, according to the API of reporter. It returns the
// holders.
func waitLeases(t *testing.T, reporter *replica, these []*replica) (held map[string]string) {
	t.Helper()
	eventually(t, "held by running replicas: the leases", func() bool {
		var stats struct {
			Replica string
			Leaders map[string]string
		}
		reporter.get("/api/v1/stats", &stats)
		require.Equal(t, reporter.id, stats.Replica)
		held = stats.Leaders
		return !slices.ContainsFunc(leases, func(lease string) bool {
			return !slices.ContainsFunc(these, func(r *replica) bool { return r.id == held[lease] })
		})
	})
	return held
}

// checkLog checks that each log line of r has its replica id, and that r was stopped gracefully stops times.
func checkLog(t *testing.T, r *replica, stops int) {
	t.Helper()
	for line := range bytes.Lines(r.output.Bytes()) {
		var entry struct{ Replica, Msg string }
		require.NoError(t, json.Unmarshal(line, &entry), "%s", line)
		assert.Equal(t, r.id, entry.Replica, "%s", line)
		if entry.Msg == "stopped" {
			stops--
		}
	}
	assert.Zero(t, stops, "missing or surplus lines \"stopped\" in the log of %s", r.id)
}
