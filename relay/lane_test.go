package relay

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

const planB = "plan-b"

// oweFeedback records n batches of a plan that owe feedback, due at once.
func (h *harness) oweFeedback(plan string, n int) {
	h.t.Helper()
	for i := range n {
		id := fmt.Sprintf("%s-batch-%d", plan, i)
		h.upstream.addBatch(id, true)
		h.recordFlag(plan, id, true)
		h.recordDelivered(plan, id, ada)
	}
}

func (h *harness) sent(plan string) int {
	h.t.Helper()
	stats, err := h.store.Stats(h.t.Context())
	require.NoError(h.t, err)
	for _, s := range stats {
		if s.Plan == plan {
			return s.Feedback.Sent
		}
	}
	return 0
}

func TestAFailingPlanDoesNotDelayOthers(t *testing.T) {
	plans := func(c *Config) {
		c.Plans = []Plan{{ID: planA, Workers: 2}, {ID: planB, Workers: 2}}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"hangs":   respondAfter(time.Hour, respond(202, "")),
		"refuses": respond(401, ""),
		"limits":  respond(429, "", "Retry-After", "3600"),
		"fails":   respond(500, ""),
		"drops":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, plans, func(t *testing.T, h *harness) {
				h.upstream.failPlan(planA, postFeedback, answer)
				h.oweFeedback(planA, 20)
				h.advance(5 * time.Second)
				h.oweFeedback(planB, 20)
				h.advance(2500 * time.Millisecond) // 1 s to coalesce, 20 calls at 20 per second, and one poll
				require.Equal(t, 20, h.sent(planB))
				require.Zero(t, h.sent(planA))
			})
		})
	}
}

func TestWorkersLimitTheCallsInFlight(t *testing.T) {
	workers := func(c *Config) { c.Plans[0].Workers, c.Plans[0].Rate = 3, 1000 }
	inBubble(t, workers, func(t *testing.T, h *harness) {
		h.upstream.fail(postFeedback, 1<<20, respondAfter(time.Second, respond(202, "")))
		h.oweFeedback(planA, 30)
		h.advance(12 * time.Second)
		require.Equal(t, 30, h.sent(planA), "all three workers are busy")
		require.Equal(t, 3, h.upstream.mostInFlight())
	})
}

func TestCallsStayWithinTheRate(t *testing.T) {
	slow := func(c *Config) { c.Plans[0].Rate, c.Plans[0].Workers = 5, 2 }
	inBubble(t, slow, func(t *testing.T, h *harness) {
		h.oweFeedback(planA, 40)
		h.advance(10 * time.Second)
		calls := h.upstream.requests(postFeedback)
		require.Len(t, calls, 40)
		for i := range calls {
			within := 0
			for _, c := range calls[i:] {
				if c.at.Sub(calls[i].at) < time.Second {
					within++
				}
			}
			assert.LessOrEqual(t, within, 5+2, "calls in the second from %s", calls[i].at)
		}
		require.InDelta(t, 7.6, calls[39].at.Sub(calls[0].at).Seconds(), 0.5, "the calls use the whole rate")
	})
}

// A look-up that follows a 404 counts as a call, although it does not wait for the rate limiter.
func TestLookUpsCountForTheRate(t *testing.T) {
	slow := func(c *Config) { c.Plans[0].Rate = 10 }
	inBubble(t, slow, func(t *testing.T, h *harness) {
		h.upstream.fail(postFeedback, 20, respond(404, ""))
		h.oweFeedback(planA, 20)
		h.advance(10 * time.Second)
		for i, c := range h.upstream.calls {
			least := time.Duration(i-2*4) * 100 * time.Millisecond // each worker may be two calls ahead of the rate
			require.GreaterOrEqual(t, c.at.Sub(h.upstream.calls[0].at), least, "call %d", i)
		}
		require.Equal(t, 20, h.sent(planA))
	})
}

// An answer of 429 or 5xx halves the rate of the whole plan, which then recovers.
func TestTheRateDropsAndRecovers(t *testing.T) {
	for _, status := range []int{429, 500, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			inBubble(t, circuitOff, func(t *testing.T, h *harness) {
				require.Equal(t, 2000.0, h.metric("feedback_rate", "plan", planA), "the rate starts at the ceiling")
				require.Equal(t, 2000.0, h.metric("feedback_rate_ceiling", "plan", planA))
				h.upstream.fail(postFeedback, 1, respond(status, ""))
				h.oweFeedback(planA, 1)
				h.advance(time.Second + 300*time.Millisecond)
				require.Len(t, h.upstream.requests(postFeedback), 1)
				require.Equal(t, 1000.0, h.metric("feedback_rate", "plan", planA))
				h.advance(5 * time.Second)
				require.Equal(t, 1, h.sent(planA))
				require.Greater(t, h.metric("feedback_rate", "plan", planA), 1000.0)
				h.advance(2 * time.Minute)
				h.oweFeedback(planA, 2)
				h.advance(5 * time.Second)
				require.Equal(t, 2000.0, h.metric("feedback_rate", "plan", planA))
			})
		})
	}
}

// Look-ups and feedback calls alternate: the first feedback does not wait until all batches are looked up.
func TestLookUpsDoNotPrecedeAllFeedback(t *testing.T) {
	slow := func(c *Config) { c.Plans[0].Rate = 20 }
	inBubble(t, slow, func(t *testing.T, h *harness) {
		for i := range 200 {
			id := fmt.Sprint("batch-", i)
			h.upstream.addBatch(id, true)
			h.recordDelivered(planA, id, ada)
		}
		begin := now()
		h.advance(time.Minute)
		require.Equal(t, 200, h.sent(planA), "400 calls at 20 per second, and a few seconds")
		require.Less(t, h.upstream.requests(postFeedback)[0].at.Sub(begin), 2*time.Second)
		require.Len(t, h.upstream.requests(getBatch), 200)
	})
}

// With AllWanted no batch is looked up, but a batch that is known not to want feedback still gets none.
func TestAllBatchesWantFeedback(t *testing.T) {
	all := func(c *Config) { c.Plans[0].AllWanted = true }
	inBubble(t, all, func(t *testing.T, h *harness) {
		for i := range 50 {
			id := fmt.Sprint("batch-", i)
			h.upstream.addBatch(id, true)
			h.recordDelivered(planA, id, ada)
		}
		h.upstream.addBatch("without", false)
		h.recordFlag(planA, "without", false)
		h.recordDelivered(planA, "without", ada)
		h.advance(10 * time.Second)
		require.Equal(t, 50, h.sent(planA))
		require.Empty(t, h.upstream.requests(getBatch))
		require.Len(t, h.upstream.requests(postFeedback), 50)

		h.upstream.addBatch(batch1, false) // sent without the flag, although AllWanted is set
		h.recordDelivered(planA, batch1, ada)
		h.advance(10 * time.Second)
		require.Equal(t, store.FlagUnwanted, h.batch(planA, batch1).Flag)
		require.Len(t, h.upstream.requests(getBatch), 1, "only a 404 causes a look-up")

		h.upstream.addBatch("summary", true)
		h.upstream.addFullReport("summary", batchReport("summary", true, ada, bob))
		h.recordReport(planA, batchReport("summary", false, ada, bob))
		h.advance(10 * time.Second)
		require.Equal(t, 2, h.batch(planA, "summary").Feedback.Sent)
	})
}

// While Sinch is down, few calls are made and no task uses up its attempts.
func TestTheCircuitOpensAndCloses(t *testing.T) {
	one := func(c *Config) { c.Plans[0].Workers = 1 }
	inBubble(t, one, func(t *testing.T, h *harness) {
		h.upstream.fail(postFeedback, 1<<20, respond(500, ""))
		require.Equal(t, 1.0, h.metric("feedback_circuit_state", "plan", planA, "state", "closed"))
		h.oweFeedback(planA, 20)
		h.advance(20 * time.Second)
		require.Len(t, h.upstream.requests(postFeedback), 5)
		require.Equal(t, 1.0, h.metric("feedback_circuit_state", "plan", planA, "state", "open"))
		require.Equal(t, 0.0, h.metric("feedback_circuit_state", "plan", planA, "state", "closed"))

		h.advance(30 * time.Second)
		require.Len(t, h.upstream.requests(postFeedback), 6, "one call probes Sinch")

		attempts := 0
		for i := range 20 {
			attempts += h.batch(planA, fmt.Sprintf("%s-batch-%d", planA, i)).Task.Attempts
		}
		require.Equal(t, 6, attempts)

		h.upstream.heal()
		h.advance(time.Minute)
		require.Equal(t, 20, h.sent(planA))
		require.Equal(t, 1.0, h.metric("feedback_circuit_state", "plan", planA, "state", "closed"))
		for _, e := range h.log.with(t, "feedback attempt") {
			require.NotEqual(t, "given_back", e["outcome"], "no claim is released without a call")
		}
		moves := h.log.with(t, "feedback circuit")
		require.Equal(t, "open", moves[0]["to"])
		require.Equal(t, "closed", moves[len(moves)-1]["to"])
	})
}

// After an outage one call probes Sinch, however many workers there are. A canceled call does not change the circuit.
func TestOneCallProbesAfterAnOutage(t *testing.T) {
	four := func(c *Config) { c.Plans[0].Workers, c.Plans[0].Rate = 4, 20 }
	inBubble(t, four, func(t *testing.T, h *harness) {
		h.upstream.fail(postFeedback, 5, respond(500, ""))
		h.upstream.fail(postFeedback, 1<<20, respondAfter(8*time.Second, respond(500, "")))
		h.oweFeedback(planA, 20)
		h.advance(2 * time.Second)
		require.Len(t, h.upstream.requests(postFeedback), 5)
		h.advance(32 * time.Second)
		require.Len(t, h.upstream.requests(postFeedback), 6)
		require.Equal(t, 1.0, h.metric("feedback_circuit_state", "plan", planA, "state", "half_open"))
		h.stop()
		require.Equal(t, 1.0, h.metric("feedback_circuit_state", "plan", planA, "state", "half_open"))
		released := 0
		for _, e := range h.log.with(t, "feedback attempt") {
			if e["outcome"] == "given_back" {
				released++
			}
		}
		require.Equal(t, 1, released, "the canceled one")
	})
}

// A refusal is not an outage: Sinch works.
func TestRefusalsDoNotOpenTheCircuit(t *testing.T) {
	for _, status := range []int{400, 404, 429} {
		inBubble(t, nil, func(t *testing.T, h *harness) {
			h.upstream.fail(postFeedback, 12, respond(status, ""))
			h.oweFeedback(planA, 12)
			h.advance(10 * time.Second)
			require.GreaterOrEqual(t, len(h.upstream.requests(postFeedback)), 12)
			require.Equal(t, 1.0, h.metric("feedback_circuit_state", "plan", planA, "state", "closed"))
			require.Empty(t, h.log.with(t, "feedback circuit"))
		})
	}
}

func TestEachAttemptIsLoggedInOneLine(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.upstream.addBatch(batch1, true)
		h.upstream.fail(postFeedback, 1, respond(503, `{"text":"busy with `+ada+`"}`))
		h.recordDelivered(planA, batch1, ada, bob)
		h.advance(time.Minute)

		var steps []string
		for _, e := range h.log.with(t, "feedback attempt") {
			require.Equal(t, planA, e["plan"])
			require.Equal(t, batch1, e["batch_id"])
			require.Contains(t, e, "took")
			steps = append(steps, fmt.Sprint(e["level"], " ", e["looked_up"], " ", e["step"], " ", e["recipients"], " ",
				e["attempt"], " ", e["outcome"], " ", e["reason"]))
		}
		require.Equal(t, []string{
			"WARN true send feedback 2 1 retry server",
			"DEBUG false send feedback 2 2 accepted accepted",
		}, steps)
		retry := h.log.with(t, "feedback attempt")[0]
		require.Contains(t, retry["detail"], "busy with 447*******18")
		require.Contains(t, retry, "due")
		require.NotContains(t, h.log.text.String(), ada)
		require.NotContains(t, h.log.text.String(), bob)
	})
}

// A claim may be stale. If its batch does not want feedback or has no recipients to name, no call is made.
func TestClaimsWithNothingToDo(t *testing.T) {
	for name, test := range map[string]struct {
		flag store.Flag
		want string
	}{
		"unwanted":      {store.FlagUnwanted, unwanted},
		"no recipients": {store.FlagWanted, noRecipients},
	} {
		inBubble(t, nil, func(t *testing.T, h *harness) {
			l := h.relay.lanes[0]
			c := store.Claim{Key: store.BatchKey{Plan: planA, BatchID: batch1}, Batch: &store.Batch{
				Plan: planA, ID: batch1, Flag: test.flag, Task: &store.Task{},
			}}
			if name == "unwanted" {
				c.Recipients, c.Batch.WantFull = []string{ada}, true
			}
			o := l.attempt(t.Context(), c)
			require.Equal(t, stepNone, o.step)
			require.Equal(t, store.Retry, o.settlement.Outcome)
			require.Equal(t, test.want, o.settlement.Detail)
			require.True(t, o.settlement.Due.After(now()), "the task is not due again at once")
			require.Empty(t, h.upstream.calls)
		})
	}
}
