package e2e

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator"
)

// cluster is three replicas of dlrloop that share a database, behind a balancer.
type cluster struct {
	t        *testing.T
	sinch    *simulator.Simulator
	replicas []*replica
	balancer balancer
	refused  atomic.Int64 // attempts of callbacks that were answered otherwise than with 2xx
}

// replica is one dlrloop of a cluster.
type replica struct {
	*program
	id   string
	said bytes.Buffer // all that it logged; to be read while it does not run
}

// newCluster configures three replicas for a plan whose API is at origin, with a database at this URL, and puts a balancer before
// them. None of them runs yet. more is added to their configurations, feedback to that of their plan's feedback.
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
		r.log = &r.said
		c.replicas, programs = append(c.replicas, r), append(programs, r.program)
	}
	t.Cleanup(c.tell)
	sinch.Observe(func(e simulator.Event) {
		if e.Kind == simulator.CallbackAnswered && e.Answer/100 != 2 {
			c.refused.Add(1)
		}
	})
	c.balancer = startBalancer(t, programs)
	require.NoError(t, sinch.SetCallbackURL(plan, "http://"+c.balancer.webhooks+"/webhooks/"+plan))
	return c
}

// start starts all that do not run, at the same time, and returns when all are ready.
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

// running are those that run.
func (c *cluster) running() (running []*replica) {
	for _, r := range c.replicas {
		if r.command != nil {
			running = append(running, r)
		}
	}
	return running
}

// progress waits until so many more callbacks are acknowledged.
func (c *cluster) progress(callbacks int) {
	c.t.Helper()
	target := c.sinch.State().Acknowledged + callbacks
	eventually(c.t, "under load", func() bool { return c.sinch.State().Acknowledged >= target })
}

// rest waits until there is nothing left to do.
func (c *cluster) rest() {
	c.t.Helper()
	eventually(c.t, "quiet at Sinch", c.sinch.Settled) // first: what Sinch calls back may be owed feedback
	eventually(c.t, "without pending tasks", func() bool { return pendingTasks(c.replicas[0].program) == 0 })
}

// tell logs what the replicas said, if the test failed.
func (c *cluster) tell() {
	if !c.t.Failed() {
		return
	}
	for _, r := range c.replicas {
		r.kill()
		c.t.Logf("%s said last:\n%s", r.id, last(&r.said, 10_000))
	}
}

// last is the last n bytes.
func last(b *bytes.Buffer, n int) []byte { return b.Bytes()[max(0, b.Len()-n):] }

// serving waits until the balancer passes callbacks to every replica.
func (c *cluster) serving() {
	c.t.Helper()
	for _, r := range c.replicas {
		before := exported(c.t, r, "dlrloop_callbacks_total")
		eventually(c.t, "taking callbacks", func() bool { return exported(c.t, r, "dlrloop_callbacks_total") > before })
	}
}

// sharing waits until every replica has called Sinch. One that starts beside others waits a while before it does.
func (c *cluster) sharing() {
	c.t.Helper()
	for _, r := range c.replicas {
		eventually(c.t, "calling Sinch", func() bool {
			return exported(c.t, r, "dlrloop_batch_lookups_total")+exported(c.t, r, "dlrloop_feedback_calls_total") > 0
		})
	}
}

// sending waits until so many more feedback calls were made.
func (c *cluster) sending(calls int) {
	c.t.Helper()
	target := c.sinch.State().Feedback + calls
	eventually(c.t, "sending feedback", func() bool { return c.sinch.State().Feedback >= target })
}

// refusing waits until a callback is answered otherwise than with 2xx.
func (c *cluster) refusing() {
	c.t.Helper()
	before := c.refused.Load()
	eventually(c.t, "refusing", func() bool { return c.refused.Load() > before })
}
