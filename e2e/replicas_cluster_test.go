package e2e

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator"
	"github.com/dlrloop/dlrloop/simulator/ledger"
)

// cluster is three replicas of dlrloop that share a database, behind a balancer.
type cluster struct {
	t        *testing.T
	sinch    *simulator.Simulator
	replicas []*replica
	balancer balancer
	refused  atomic.Int64 // callback attempts that were not answered 2xx
}

// replica is one dlrloop of a cluster.
type replica struct {
	*program
	id     string
	output bytes.Buffer // its whole log; read it only while the replica is not running
}

// newCluster configures three replicas for a plan whose API is at origin, and starts a balancer in front of them. It
// does not start the replicas. more is added to their configurations, feedback to the plan's feedback section.
func newCluster(t *testing.T, sinch *simulator.Simulator, origin, database, more, feedback string) *cluster {
	t.Helper()
	c := &cluster{t: t, sinch: sinch}
	var programs []*program
	for _, name := range []string{"ada", "bob", "eve"} {
		r := &replica{id: name}
		r.program = configured(t, fmt.Sprintf(`
replica: %s
%s
store: {driver: postgres, url: %q}
log: {level: info, format: json}
plans:
  - id: %s
    base_url: %s
    token: %s
    webhook: {auth: {hmac: {secrets: [%s]}}}
    feedback: {workers: %d, backoff: {base: 100ms, cap: 1s}, %s}
`, name, more, database, plan, origin, token, secret, workers, feedback))
		r.log = &r.output
		c.replicas, programs = append(c.replicas, r), append(programs, r.program)
	}
	t.Cleanup(c.logOutput)
	sinch.Observe(func(e ledger.Entry) {
		if e.Kind == ledger.CallbackAnswered && e.Answer/100 != 2 {
			c.refused.Add(1)
		}
	})
	c.balancer = startBalancer(t, programs)
	require.NoError(t, sinch.SetCallbackURL(plan, "http://"+c.balancer.webhooks+"/webhooks/"+plan))
	return c
}

// start starts all replicas that are not running, concurrently, and returns when all are ready.
func (c *cluster) start() {
	c.t.Helper()
	for _, r := range c.replicas {
		if r.command == nil {
			r.launch()
		}
	}
	for _, r := range c.replicas {
		r.awaitReady()
	}
}

// running returns the replicas that are running.
func (c *cluster) running() (running []*replica) {
	for _, r := range c.replicas {
		if r.command != nil {
			running = append(running, r)
		}
	}
	return running
}

// waitCallbacks waits until a number of further callbacks is acknowledged.
func (c *cluster) waitCallbacks(callbacks int) {
	c.t.Helper()
	target := c.sinch.State().Acknowledged + callbacks
	eventually(c.t, "under load", func() bool { return c.sinch.State().Acknowledged >= target })
}

// waitSettled waits until all callbacks are acknowledged and all feedback is sent.
func (c *cluster) waitSettled() {
	c.t.Helper()
	eventually(c.t, "settled: the simulator", c.sinch.Settled) // first, since each callback may create a feedback task
	eventually(c.t, "without pending tasks", func() bool { return pendingTasks(c.replicas[0].program) == 0 })
}

// logOutput logs the end of the replicas' logs if the test failed.
func (c *cluster) logOutput() {
	if !c.t.Failed() {
		return
	}
	for _, r := range c.replicas {
		r.kill()
		c.t.Logf("end of the log of %s:\n%s", r.id, last(&r.output, 10_000))
	}
}

// last returns the last n bytes of b.
func last(b *bytes.Buffer, n int) []byte { return b.Bytes()[max(0, b.Len()-n):] }

// waitServing waits until the balancer has passed a callback to every replica.
func (c *cluster) waitServing() {
	c.t.Helper()
	for _, r := range c.replicas {
		before := exported(c.t, r, "dlrloop_callbacks_total")
		eventually(c.t, "accepting callbacks",
			func() bool { return exported(c.t, r, "dlrloop_callbacks_total") > before })
	}
}

// waitCalling waits until every replica has called Sinch. A replica that joins others waits a while before its first
// call.
func (c *cluster) waitCalling() {
	c.t.Helper()
	for _, r := range c.replicas {
		eventually(c.t, "calling Sinch", func() bool {
			return exported(c.t, r, "dlrloop_batch_lookups_total")+exported(c.t, r, "dlrloop_feedback_calls_total") > 0
		})
	}
}

// waitFeedback waits until a number of further feedback calls has been made.
func (c *cluster) waitFeedback(calls int) {
	c.t.Helper()
	target := c.sinch.State().Feedback + calls
	eventually(c.t, "sending feedback", func() bool { return c.sinch.State().Feedback >= target })
}

// waitRefusal waits until a callback is not answered 2xx.
func (c *cluster) waitRefusal() {
	c.t.Helper()
	before := c.refused.Load()
	eventually(c.t, "refusing", func() bool { return c.refused.Load() > before })
}
