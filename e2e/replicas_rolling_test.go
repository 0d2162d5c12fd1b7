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

// TestReplicasRollingRestart ends and starts one replica after the other while callbacks come through the balancer: none is answered
// otherwise than with 200 or 503, no call is repeated, and the duties go to those that run. The long form goes twice round.
func TestReplicasRollingRestart(t *testing.T) {
	t.Parallel()
	rounds := 1
	if long() {
		rounds = 2
	}
	sinch, origin := newSinch(t, uint64(time.Now().UnixNano()))
	c := newCluster(t, sinch, origin, postgres.Database(t), "shutdown_delay: 500ms", "coalesce: 50ms, rate: 600, timeout: 1m")
	c.start()
	stopLoad := startLoad(t, sinch, origin, 100)
	c.serving()
	handed := map[string]int{}
	for round := range rounds {
		for left := slices.Clone(c.replicas); len(left) > 0; {
			held := dutiesWithin(t, left[0], c.replicas)
			r := next(left, held, handed)
			left = slices.DeleteFunc(left, func(one *replica) bool { return one == r })
			others := slices.DeleteFunc(slices.Clone(c.replicas), func(other *replica) bool { return other == r })
			r.stop()
			if round == 0 && (long() || len(handed) < len(duties)) { // it takes some seconds
				for duty, holder := range dutiesWithin(t, others[0], others) {
					if holder != held[duty] {
						handed[duty]++
					}
				}
			}
			c.progress(100)
			r.start()
			c.serving()
		}
	}
	stopLoad()
	c.rest()

	ledger := sinch.Ledger()
	checkAnswers(t, ledger, http.StatusOK, http.StatusServiceUnavailable)
	checkStates(t, c.replicas[0].program, ledger)
	checkReplicas(t, c, ledger)
	checkFeedback(t, ledger, 0)
	t.Logf("duties handed over: %v", handed)
	for _, duty := range duties {
		assert.NotZero(t, handed[duty], "whoever had duty %s was stopped, and nobody took it over", duty)
	}
	for _, r := range c.replicas {
		r.stop()
		checkLog(t, r, rounds+1)
	}
}

// next is the replica to be restarted of those that are left: one with a duty that was not handed over yet, if there is any.
func next(left []*replica, held map[string]string, handed map[string]int) *replica {
	for _, duty := range duties {
		i := slices.IndexFunc(left, func(r *replica) bool { return handed[duty] == 0 && r.id == held[duty] })
		if i >= 0 {
			return left[i]
		}
	}
	return left[0]
}

// duties that one of the replicas does for all.
var duties = []string{"reconcile", "retire"}

// dutiesWithin waits until every duty is held by one of these, as a replica tells it.
func dutiesWithin(t *testing.T, asked *replica, these []*replica) (held map[string]string) {
	t.Helper()
	eventually(t, "done by those that run", func() bool {
		var stats struct {
			Replica string
			Duties  map[string]string
		}
		asked.get("/api/v1/stats", &stats)
		require.Equal(t, asked.id, stats.Replica)
		held = stats.Duties
		return !slices.ContainsFunc(duties, func(duty string) bool {
			return !slices.ContainsFunc(these, func(r *replica) bool { return r.id == held[duty] })
		})
	})
	return held
}

// checkLog requires that every line a replica logged says whose it is, and that it ended in order so many times.
func checkLog(t *testing.T, r *replica, stops int) {
	t.Helper()
	for line := range bytes.Lines(r.said.Bytes()) {
		var said struct{ Replica, Msg string }
		require.NoError(t, json.Unmarshal(line, &said), "%s", line)
		assert.Equal(t, r.id, said.Replica, "%s", line)
		if said.Msg == "stopped" {
			stops--
		}
	}
	assert.Zero(t, stops, "of %s", r.id)
}
