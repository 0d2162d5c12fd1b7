package feedback

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/relay/relaytest"
	"github.com/dlrloop/dlrloop/store"
)

const planB = "plan-b"

// oweFeedback records n batches of a plan that owe feedback, due at once.
func (h *harness) oweFeedback(plan string, n int) {
	h.T.Helper()
	for i := range n {
		id := fmt.Sprintf("%s-batch-%d", plan, i)
		h.Upstream.AddBatch(id, true)
		h.RecordFlag(plan, id, true)
		h.RecordDelivered(plan, id, ada)
	}
}

func (h *harness) sent(plan string) int { return h.Stats(plan).Feedback.Sent }

func TestAFailingPlanDoesNotDelayOthers(t *testing.T) {
	plans := func(c *Config) {
		c.Plans = []Plan{{ID: planA, Workers: 2}, {ID: planB, Workers: 2}}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"hangs":   relaytest.RespondAfter(time.Hour, relaytest.Respond(202, "")),
		"refuses": relaytest.Respond(401, ""),
		"limits":  relaytest.Respond(429, "", "Retry-After", "3600"),
		"fails":   relaytest.Respond(500, ""),
		"drops":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, plans, func(t *testing.T, h *harness) {
				h.Upstream.FailPlan(planA, relaytest.PostFeedback, answer)
				h.oweFeedback(planA, 20)
				h.Advance(5 * time.Second)
				h.oweFeedback(planB, 20)
				h.Advance(2500 * time.Millisecond) // 1 s to coalesce, 20 calls at 20 per second, and one poll
				require.Equal(t, 20, h.sent(planB))
				require.Zero(t, h.sent(planA))
			})
		})
	}
}

func TestWorkersLimitTheCallsInFlight(t *testing.T) {
	workers := func(c *Config) { c.Plans[0].Workers, c.Plans[0].Rate = 3, 1000 }
	inBubble(t, workers, func(t *testing.T, h *harness) {
		h.Upstream.Fail(relaytest.PostFeedback, 1<<20, relaytest.RespondAfter(time.Second, relaytest.Respond(202, "")))
		h.oweFeedback(planA, 30)
		h.Advance(12 * time.Second)
		require.Equal(t, 30, h.sent(planA), "all three workers are busy")
		require.Equal(t, 3, h.Upstream.MostInFlight())
	})
}

func TestCallsStayWithinTheRate(t *testing.T) {
	slow := func(c *Config) { c.Plans[0].Rate, c.Plans[0].Workers = 5, 2 }
	inBubble(t, slow, func(t *testing.T, h *harness) {
		h.oweFeedback(planA, 40)
		h.Advance(10 * time.Second)
		calls := h.Upstream.Requests(relaytest.PostFeedback)
		require.Len(t, calls, 40)
		for i := range calls {
			within := 0
			for _, c := range calls[i:] {
				if c.At.Sub(calls[i].At) < time.Second {
					within++
				}
			}
			assert.LessOrEqual(t, within, 5+2, "calls in the second from %s", calls[i].At)
		}
		require.InDelta(t, 7.6, calls[39].At.Sub(calls[0].At).Seconds(), 0.5, "the calls use the whole rate")
	})
}

// A look-up that follows a 404 counts as a call, although it does not wait for the rate limiter.
func TestLookUpsCountForTheRate(t *testing.T) {
	slow := func(c *Config) { c.Plans[0].Rate = 10 }
	inBubble(t, slow, func(t *testing.T, h *harness) {
		h.Upstream.Fail(relaytest.PostFeedback, 20, relaytest.Respond(404, ""))
		h.oweFeedback(planA, 20)
		h.Advance(10 * time.Second)
		for i, c := range h.Upstream.Requests("") {
			least := time.Duration(i-2*4) * 100 * time.Millisecond // each worker may be two calls ahead of the rate
			require.GreaterOrEqual(t, c.At.Sub(h.Upstream.Requests("")[0].At), least, "call %d", i)
		}
		require.Equal(t, 20, h.sent(planA))
	})
}

// An answer of 429 or 5xx halves the rate of the whole plan, which then recovers.
func TestTheRateDropsAndRecovers(t *testing.T) {
	for _, status := range []int{429, 500, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			inBubble(t, circuitOff, func(t *testing.T, h *harness) {
				require.Equal(t, 2000.0, h.Metric("feedback_rate", "plan", planA), "the rate starts at the ceiling")
				require.Equal(t, 2000.0, h.Metric("feedback_rate_ceiling", "plan", planA))
				h.Upstream.Fail(relaytest.PostFeedback, 1, relaytest.Respond(status, ""))
				h.oweFeedback(planA, 1)
				h.Advance(time.Second + 300*time.Millisecond)
				require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 1)
				require.Equal(t, 1000.0, h.Metric("feedback_rate", "plan", planA))
				h.Advance(5 * time.Second)
				require.Equal(t, 1, h.sent(planA))
				require.Greater(t, h.Metric("feedback_rate", "plan", planA), 1000.0)
				h.Advance(2 * time.Minute)
				h.oweFeedback(planA, 2)
				h.Advance(5 * time.Second)
				require.Equal(t, 2000.0, h.Metric("feedback_rate", "plan", planA))
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
			h.Upstream.AddBatch(id, true)
			h.RecordDelivered(planA, id, ada)
		}
		begin := store.Now()
		h.Advance(time.Minute)
		require.Equal(t, 200, h.sent(planA), "400 calls at 20 per second, and a few seconds")
		require.Less(t, h.Upstream.Requests(relaytest.PostFeedback)[0].At.Sub(begin), 2*time.Second)
		require.Len(t, h.Upstream.Requests(relaytest.GetBatch), 200)
	})
}

// With AllWanted no batch is looked up, but a batch that is known not to want feedback still gets none.
func TestAllBatchesWantFeedback(t *testing.T) {
	all := func(c *Config) { c.Plans[0].AllWanted = true }
	inBubble(t, all, func(t *testing.T, h *harness) {
		for i := range 50 {
			id := fmt.Sprint("batch-", i)
			h.Upstream.AddBatch(id, true)
			h.RecordDelivered(planA, id, ada)
		}
		h.Upstream.AddBatch("without", false)
		h.RecordFlag(planA, "without", false)
		h.RecordDelivered(planA, "without", ada)
		h.Advance(10 * time.Second)
		require.Equal(t, 50, h.sent(planA))
		require.Empty(t, h.Upstream.Requests(relaytest.GetBatch))
		require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 50)

		h.Upstream.AddBatch(batch1, false) // sent without the flag, although AllWanted is set
		h.RecordDelivered(planA, batch1, ada)
		h.Advance(10 * time.Second)
		require.Equal(t, store.FlagUnwanted, h.Batch(planA, batch1).Flag)
		require.Len(t, h.Upstream.Requests(relaytest.GetBatch), 1, "only a 404 causes a look-up")

		h.Upstream.AddBatch("summary", true)
		h.Upstream.AddFullReport("summary", relaytest.BatchReport("summary", true, ada, bob))
		h.RecordReport(planA, relaytest.BatchReport("summary", false, ada, bob))
		h.Advance(10 * time.Second)
		require.Equal(t, 2, h.Batch(planA, "summary").Feedback.Sent)
	})
}

// While Sinch is down, few calls are made and no task uses up its attempts.
func TestTheCircuitOpensAndCloses(t *testing.T) {
	one := func(c *Config) { c.Plans[0].Workers = 1 }
	inBubble(t, one, func(t *testing.T, h *harness) {
		h.Upstream.Fail(relaytest.PostFeedback, 1<<20, relaytest.Respond(500, ""))
		require.Equal(t, 1.0, h.Metric("feedback_circuit_state", "plan", planA, "state", "closed"))
		h.oweFeedback(planA, 20)
		h.Advance(20 * time.Second)
		require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 5)
		require.Equal(t, 1.0, h.Metric("feedback_circuit_state", "plan", planA, "state", "open"))
		require.Equal(t, 0.0, h.Metric("feedback_circuit_state", "plan", planA, "state", "closed"))

		h.Advance(30 * time.Second)
		require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 6, "one call probes Sinch")

		attempts := 0
		for i := range 20 {
			attempts += h.Batch(planA, fmt.Sprintf("%s-batch-%d", planA, i)).Task.Attempts
		}
		require.Equal(t, 6, attempts)

		h.Upstream.Heal()
		h.Advance(time.Minute)
		require.Equal(t, 20, h.sent(planA))
		require.Equal(t, 1.0, h.Metric("feedback_circuit_state", "plan", planA, "state", "closed"))
		for _, e := range h.Lines.With(t, "feedback attempt") {
			require.NotEqual(t, "released", e["outcome"], "no claim is released without a call")
		}
		moves := h.Lines.With(t, "feedback circuit")
		require.Equal(t, "open", moves[0]["to"])
		require.Equal(t, "closed", moves[len(moves)-1]["to"])
	})
}

// After an outage one call probes Sinch, however many workers there are. A canceled call does not change the circuit.
func TestOneCallProbesAfterAnOutage(t *testing.T) {
	four := func(c *Config) { c.Plans[0].Workers, c.Plans[0].Rate = 4, 20 }
	inBubble(t, four, func(t *testing.T, h *harness) {
		h.Upstream.Fail(relaytest.PostFeedback, 5, relaytest.Respond(500, ""))
		h.Upstream.Fail(relaytest.PostFeedback, 1<<20, relaytest.RespondAfter(8*time.Second, relaytest.Respond(500, "")))
		h.oweFeedback(planA, 20)
		h.Advance(2 * time.Second)
		require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 5)
		h.Advance(32 * time.Second)
		require.Len(t, h.Upstream.Requests(relaytest.PostFeedback), 6)
		require.Equal(t, 1.0, h.Metric("feedback_circuit_state", "plan", planA, "state", "half_open"))
		h.stop()
		require.Equal(t, 1.0, h.Metric("feedback_circuit_state", "plan", planA, "state", "half_open"))
		released := 0
		for _, e := range h.Lines.With(t, "feedback attempt") {
			if e["outcome"] == "released" {
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
			h.Upstream.Fail(relaytest.PostFeedback, 12, relaytest.Respond(status, ""))
			h.oweFeedback(planA, 12)
			h.Advance(10 * time.Second)
			require.GreaterOrEqual(t, len(h.Upstream.Requests(relaytest.PostFeedback)), 12)
			require.Equal(t, 1.0, h.Metric("feedback_circuit_state", "plan", planA, "state", "closed"))
			require.Empty(t, h.Lines.With(t, "feedback circuit"))
		})
	}
}

func TestEachAttemptIsLoggedInOneLine(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, h *harness) {
		h.Upstream.AddBatch(batch1, true)
		h.Upstream.Fail(relaytest.PostFeedback, 1, relaytest.Respond(503, `{"text":"busy with `+ada+`"}`))
		h.RecordDelivered(planA, batch1, ada, bob)
		h.Advance(time.Minute)

		var steps []string
		for _, e := range h.Lines.With(t, "feedback attempt") {
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
		retry := h.Lines.With(t, "feedback attempt")[0]
		require.Contains(t, retry["detail"], "busy with 447*******18")
		require.Contains(t, retry, "due")
		require.NotContains(t, h.Lines.String(), ada)
		require.NotContains(t, h.Lines.String(), bob)
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
				c.Recipients, c.Batch.NeedsFullReport = []string{ada}, true
			}
			o := l.attempt(t.Context(), c)
			require.Equal(t, stepNone, o.step)
			require.Equal(t, store.OutcomeRetry, o.settlement.Outcome)
			require.Equal(t, test.want, o.settlement.Detail)
			require.True(t, o.settlement.Due.After(store.Now()), "the task is not due again at once")
			require.Empty(t, h.Upstream.Requests(""))
		})
	}
}
