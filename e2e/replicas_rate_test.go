package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator"
)

// TestReplicasRate has three replicas owe more feedback than their plan's rate lets them send, while one of them is killed and comes back:
// all together they never call Sinch more often than the plan allows.
func TestReplicasRate(t *testing.T) {
	t.Parallel()
	const (
		rate  = 30
		slack = time.Second // by which a call may come later than another made with it
	)
	sinch, origin := newSinch(t, 1)
	c := newCluster(t, sinch, origin, postgres.Database(t), "", fmt.Sprintf("coalesce: 50ms, rate: %d", rate))
	c.start()
	starts := len(c.replicas)
	for number := range 400 {
		// Each costs two calls: whether it wants feedback, and the feedback.
		require.NoError(t, sendBatch(t.Context(), origin, []string{fmt.Sprintf("4477%08d", number)}, "per_recipient_final", true))
	}
	c.sharing()
	c.sending(rate)
	c.replicas[0].kill()
	c.replicas[0].start()
	starts++
	c.sharing()
	c.sending(rate)
	require.Positive(t, pendingTasks(c.replicas[1].program), "it was not the rate that held calls back")

	var calls []time.Time
	for _, call := range sinch.Calls() {
		if call.Operation != simulator.OpSend {
			calls = append(calls, call.At)
		}
	}
	slices.SortFunc(calls, time.Time.Compare)
	took := calls[len(calls)-1].Sub(calls[0])
	t.Logf("%d calls in %s: %.1f a second of %d", len(calls), took.Round(time.Millisecond), float64(len(calls))/took.Seconds(), rate)
	checkRate(t, calls, rate, starts*workers, slack)
}

// checkRate requires of any two calls that between them there were no more than so many a second and a burst.
func checkRate(t *testing.T, calls []time.Time, rate float64, burst int, slack time.Duration) {
	t.Helper()
	for i, first := range calls {
		for j, last := range calls[i:] {
			span := last.Sub(first)
			if most := rate*(span+slack).Seconds() + float64(burst); float64(j+1) > most {
				assert.Fail(t, "too fast", "%d calls in %s, where %.0f were allowed", j+1, span, most)
				return
			}
		}
	}
}
