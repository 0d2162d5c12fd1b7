package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/fault"
)

// TestReplicasRate gives three replicas more feedback to send than the plan's rate permits, and kills and restarts
// one of them. All replicas together must never exceed the rate.
func TestReplicasRate(t *testing.T) {
	t.Parallel()
	const (
		rate  = 30
		slack = time.Second // largest delay between a call and its arrival
	)
	sinch, origin := newSinch(t, 1)
	c := newCluster(t, sinch, origin, postgres.Database(t), "", fmt.Sprintf("coalesce: 50ms, rate: %d", rate))
	c.start()
	starts := len(c.replicas)
	for number := range 400 {
		// Each batch needs two calls: a lookup of feedback_enabled, and the feedback.
		require.NoError(t,
			sendBatch(t.Context(), origin, []string{fmt.Sprintf("4477%08d", number)}, "per_recipient_final", true))
	}
	c.waitCalling()
	c.waitFeedback(rate)
	c.replicas[0].kill()
	c.replicas[0].start()
	starts++
	c.waitCalling()
	c.waitFeedback(rate)
	require.Positive(t, pendingTasks(c.replicas[1].program), "tasks must be pending, else the rate was not the limit")

	var calls []time.Time
	for _, call := range sinch.Calls() {
		if call.Operation != fault.OpSend {
			calls = append(calls, call.At)
		}
	}
	slices.SortFunc(calls, time.Time.Compare)
	took := calls[len(calls)-1].Sub(calls[0])
	t.Logf("%d calls in %s: %.1f per second, the rate is %d", len(calls), took.Round(time.Millisecond),
		float64(len(calls))/took.Seconds(), rate)
	checkRate(t, calls, rate, starts*workers, slack)
}

// checkRate checks that the number of calls between any two calls is at most the rate times their distance plus the
// burst.
func checkRate(t *testing.T, calls []time.Time, rate float64, burst int, slack time.Duration) {
	t.Helper()
	for i, first := range calls {
		for j, last := range calls[i:] {
			span := last.Sub(first)
			if most := rate*(span+slack).Seconds() + float64(burst); float64(j+1) > most {
				assert.Fail(t, "rate exceeded", "%d calls in %s, at most %.0f are allowed", j+1, span, most)
				return
			}
		}
	}
}
