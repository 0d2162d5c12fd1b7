package e2e

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/ledger"
)

// checkReplicas checks that all replicas answer the same totals, lists, batches, recipients and logs; that the totals
// agree with the simulator's ledger; and that no replica gave an answer that loses a callback.
func checkReplicas(t *testing.T, c *cluster, l ledger.Ledger) {
	t.Helper()
	paths := []string{
		"/api/v1/batches?limit=1000", "/api/v1/feedback?state=pending", "/api/v1/feedback?state=dead",
		"/api/v1/quarantine",
	}
	for _, b := range l.Batches {
		at := "/api/v1/plans/" + plan + "/batches/" + b.ID
		paths = append(paths, at, at+"/recipients?limit=1000", at+"/reports?limit=1000")
	}
	first := c.replicas[0]
	totals := totalsOf(t, first)
	for _, r := range c.replicas[1:] {
		assert.Equal(t, totals, totalsOf(t, r), "totals of %s and of %s", first.id, r.id)
		for _, path := range paths {
			require.Equal(t, string(first.read(path)), string(r.read(path)), "%s of %s and of %s", path, first.id, r.id)
		}
	}
	assert.Equal(t, len(l.Batches), totals.Batches)
	assert.Equal(t, feedbackTotals{Sent: len(l.OwedFeedback()), Dropped: totals.Feedback.Dropped}, totals.Feedback)
	for _, r := range c.replicas {
		assert.Zero(t, exported(t, r, "dlrloop_lossy_responses_total"), "lossy answers of %s", r.id)
	}
}

// totals are the totals of one plan in the API's /stats.
type totals struct {
	Batches, Recipients, Duplicates, Quarantined, Missing int

	Messages []struct {
		Status   string
		Messages int
	}
	Feedback feedbackTotals
}

type feedbackTotals struct {
	PendingTasks int `json:"pending_tasks"`
	DeadTasks    int `json:"dead_tasks"`

	Owed, Sent, Dead, Dropped int
}

func totalsOf(t *testing.T, r *replica) totals {
	t.Helper()
	var stats struct{ Plans []totals }
	r.get("/api/v1/stats", &stats)
	require.Len(t, stats.Plans, 1)
	return stats.Plans[0]
}

// exported returns the sum of all series of a name that a replica exports.
func exported(t *testing.T, r *replica, name string) (sum float64) {
	t.Helper()
	series := regexp.MustCompile(`(?m)^`+name+`(?:\{.*\})? (.+)$`).FindAllSubmatch(r.read("/metrics"), -1)
	require.NotEmpty(t, series, name)
	for _, one := range series {
		value, err := strconv.ParseFloat(string(one[1]), 64)
		require.NoError(t, err)
		sum += value
	}
	return sum
}
