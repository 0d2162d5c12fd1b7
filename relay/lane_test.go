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

// manyBatches makes n batches of a plan owe feedback that is due at once.
func (h *house) manyBatches(plan string, n int) {
	h.t.Helper()
	for i := range n {
		id := fmt.Sprintf("%s-batch-%d", plan, i)
		h.upstream.knows(id, true)
		h.flagged(plan, id, true)
		h.delivered(plan, id, ada)
	}
}

func (h *house) sent(plan string) int {
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

func TestOnePlansTroubleDelaysNoOther(t *testing.T) {
	plans := func(c *Config) {
		c.Plans = []Plan{{ID: planA, Workers: 2}, {ID: planB, Workers: 2}}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"hangs":   hangs(time.Hour, says(202, "")),
		"refuses": says(401, ""),
		"limits":  says(429, "", "Retry-After", "3600"),
		"fails":   says(500, ""),
		"drops":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, plans, func(t *testing.T, h *house) {
				h.upstream.failPlan(planA, postFeedback, answer)
				h.manyBatches(planA, 20)
				h.pass(5 * time.Second)
				h.manyBatches(planB, 20)
				h.pass(2500 * time.Millisecond) // 1 s to gather, 20 calls at 20 a second, and a poll
				require.Equal(t, 20, h.sent(planB))
				require.Zero(t, h.sent(planA))
			})
		})
	}
}

func TestWorkersBoundTheCallsInFlight(t *testing.T) {
	workers := func(c *Config) { c.Plans[0].Workers, c.Plans[0].Rate = 3, 1000 }
	inHouse(t, workers, func(t *testing.T, h *house) {
		h.upstream.fail(postFeedback, 1<<20, hangs(time.Second, says(202, "")))
		h.manyBatches(planA, 30)
		h.pass(12 * time.Second)
		require.Equal(t, 30, h.sent(planA), "and all three work")
		require.Equal(t, 3, h.upstream.mostInFlight())
	})
}

func TestCallsKeepToTheRate(t *testing.T) {
	slow := func(c *Config) { c.Plans[0].Rate, c.Plans[0].Workers = 5, 2 }
	inHouse(t, slow, func(t *testing.T, h *house) {
		h.manyBatches(planA, 40)
		h.pass(10 * time.Second)
		calls := h.upstream.asked(postFeedback)
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
		require.InDelta(t, 7.6, calls[39].at.Sub(calls[0].at).Seconds(), 0.5, "and use it")
	})
}

// A look-up that follows a 404 is a call like any other, though it does not wait for its turn.
func TestLookUpsCountForTheRate(t *testing.T) {
	slow := func(c *Config) { c.Plans[0].Rate = 10 }
	inHouse(t, slow, func(t *testing.T, h *house) {
		h.upstream.fail(postFeedback, 20, says(404, ""))
		h.manyBatches(planA, 20)
		h.pass(10 * time.Second)
		for i, c := range h.upstream.calls {
			least := time.Duration(i-2*4) * 100 * time.Millisecond // two calls for each worker ahead of the rate
			require.GreaterOrEqual(t, c.at.Sub(h.upstream.calls[0].at), least, "call %d", i)
		}
		require.Equal(t, 20, h.sent(planA))
	})
}

// Answers of 429 slow the whole plan down, and it recovers.
func TestTheRateDropsAndRecovers(t *testing.T) {
	for name, trouble := range map[string]http.HandlerFunc{"429": says(429, ""), "500": says(500, ""), "503": says(503, "")} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, circuitOff, func(t *testing.T, h *house) {
				require.Equal(t, 2000.0, h.counted("feedback_rate", "plan", planA), "it starts at the ceiling")
				require.Equal(t, 2000.0, h.counted("feedback_rate_ceiling", "plan", planA))
				h.upstream.fail(postFeedback, 1, trouble)
				h.manyBatches(planA, 1)
				h.pass(time.Second + 300*time.Millisecond)
				require.Len(t, h.upstream.asked(postFeedback), 1)
				require.Equal(t, 1000.0, h.counted("feedback_rate", "plan", planA))
				h.pass(5 * time.Second)
				require.Equal(t, 1, h.sent(planA))
				require.Greater(t, h.counted("feedback_rate", "plan", planA), 1000.0)
				h.pass(2 * time.Minute)
				h.manyBatches(planA, 2)
				h.pass(5 * time.Second)
				require.Equal(t, 2000.0, h.counted("feedback_rate", "plan", planA))
			})
		})
	}
}

// Look-ups and calls take turns: the first feedback does not wait until all batches are looked up.
func TestLookUpsDoNotGoFirst(t *testing.T) {
	slow := func(c *Config) { c.Plans[0].Rate = 20 }
	inHouse(t, slow, func(t *testing.T, h *house) {
		for i := range 200 {
			id := fmt.Sprint("batch-", i)
			h.upstream.knows(id, true)
			h.delivered(planA, id, ada)
		}
		begin := now()
		h.pass(time.Minute)
		require.Equal(t, 200, h.sent(planA), "in 400 calls at 20 a second, and a few seconds")
		require.Less(t, h.upstream.asked(postFeedback)[0].at.Sub(begin), 2*time.Second)
		require.Len(t, h.upstream.asked(getBatch), 200)
	})
}

// A team that states that every batch wants feedback pays for no look-up, and what is known otherwise still counts.
func TestAllBatchesWantFeedback(t *testing.T) {
	all := func(c *Config) { c.Plans[0].AllWanted = true }
	inHouse(t, all, func(t *testing.T, h *house) {
		for i := range 50 {
			id := fmt.Sprint("batch-", i)
			h.upstream.knows(id, true)
			h.delivered(planA, id, ada)
		}
		h.upstream.knows("without", false)
		h.flagged(planA, "without", false)
		h.delivered(planA, "without", ada)
		h.pass(10 * time.Second)
		require.Equal(t, 50, h.sent(planA))
		require.Empty(t, h.upstream.asked(getBatch))
		require.Len(t, h.upstream.asked(postFeedback), 50)

		h.upstream.knows(batch1, false) // sent without the flag, against what the team states
		h.delivered(planA, batch1, ada)
		h.pass(10 * time.Second)
		require.Equal(t, store.FlagUnwanted, h.batch(planA, batch1).Flag)
		require.Len(t, h.upstream.asked(getBatch), 1, "only a 404 is looked into")

		h.upstream.knows("summary", true)
		h.upstream.reportsFull("summary", batchReport("summary", true, ada, bob))
		h.report(planA, batchReport("summary", false, ada, bob))
		h.pass(10 * time.Second)
		require.Equal(t, 2, h.batch(planA, "summary").Feedback.Sent)
	})
}

// While Sinch is down few calls are made and no task spends its attempts.
func TestTheCircuitOpensAndCloses(t *testing.T) {
	one := func(c *Config) { c.Plans[0].Workers = 1 }
	inHouse(t, one, func(t *testing.T, h *house) {
		h.upstream.fail(postFeedback, 1<<20, says(500, ""))
		require.Equal(t, 1.0, h.counted("feedback_circuit_state", "plan", planA, "state", "closed"))
		h.manyBatches(planA, 20)
		h.pass(20 * time.Second)
		require.Len(t, h.upstream.asked(postFeedback), 5)
		require.Equal(t, 1.0, h.counted("feedback_circuit_state", "plan", planA, "state", "open"))
		require.Equal(t, 0.0, h.counted("feedback_circuit_state", "plan", planA, "state", "closed"))

		h.pass(30 * time.Second)
		require.Len(t, h.upstream.asked(postFeedback), 6, "one call tries")

		attempts := 0
		for i := range 20 {
			attempts += h.batch(planA, fmt.Sprintf("%s-batch-%d", planA, i)).Task.Attempts
		}
		require.Equal(t, 6, attempts)

		h.upstream.heal()
		h.pass(time.Minute)
		require.Equal(t, 20, h.sent(planA))
		require.Equal(t, 1.0, h.counted("feedback_circuit_state", "plan", planA, "state", "closed"))
		for _, e := range h.log.with(t, "feedback attempt") {
			require.NotEqual(t, "given_back", e["outcome"], "nothing is claimed in vain")
		}
		moves := h.log.with(t, "feedback circuit")
		require.Equal(t, "open", moves[0]["to"])
		require.Equal(t, "closed", moves[len(moves)-1]["to"])
	})
}

// One call tells whether Sinch is back, however many workers there are; one that is cancelled tells nothing.
func TestOneCallTriesAfterAnOutage(t *testing.T) {
	four := func(c *Config) { c.Plans[0].Workers, c.Plans[0].Rate = 4, 20 }
	inHouse(t, four, func(t *testing.T, h *house) {
		h.upstream.fail(postFeedback, 5, says(500, ""))
		h.upstream.fail(postFeedback, 1<<20, hangs(8*time.Second, says(500, "")))
		h.manyBatches(planA, 20)
		h.pass(2 * time.Second)
		require.Len(t, h.upstream.asked(postFeedback), 5)
		h.pass(32 * time.Second)
		require.Len(t, h.upstream.asked(postFeedback), 6)
		require.Equal(t, 1.0, h.counted("feedback_circuit_state", "plan", planA, "state", "half_open"))
		h.stop()
		require.Equal(t, 1.0, h.counted("feedback_circuit_state", "plan", planA, "state", "half_open"))
		given := 0
		for _, e := range h.log.with(t, "feedback attempt") {
			if e["outcome"] == "given_back" {
				given++
			}
		}
		require.Equal(t, 1, given, "the one that was cancelled")
	})
}

// Answers that say no come from a Sinch that works.
func TestRefusalsDoNotOpenTheCircuit(t *testing.T) {
	for _, status := range []int{400, 404, 429} {
		inHouse(t, nil, func(t *testing.T, h *house) {
			h.upstream.fail(postFeedback, 12, says(status, ""))
			h.manyBatches(planA, 12)
			h.pass(10 * time.Second)
			require.GreaterOrEqual(t, len(h.upstream.asked(postFeedback)), 12)
			require.Equal(t, 1.0, h.counted("feedback_circuit_state", "plan", planA, "state", "closed"))
			require.Empty(t, h.log.with(t, "feedback circuit"))
		})
	}
}

func TestEveryAttemptIsOneLineWithItsStory(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		h.upstream.knows(batch1, true)
		h.upstream.fail(postFeedback, 1, says(503, `{"text":"busy with `+ada+`"}`))
		h.delivered(planA, batch1, ada, bob)
		h.pass(time.Minute)

		var steps []string
		for _, e := range h.log.with(t, "feedback attempt") {
			require.Equal(t, planA, e["plan"])
			require.Equal(t, batch1, e["batch_id"])
			require.Contains(t, e, "took")
			steps = append(steps, fmt.Sprint(e["level"], " ", e["looked_up"], " ", e["step"], " ", e["recipients"], " ", e["attempt"], " ", e["outcome"], " ", e["reason"]))
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

// A claim may be a moment behind. Nothing is sent on what it says of a batch that wants none, and nothing to nobody.
func TestClaimsWithNothingToDo(t *testing.T) {
	for name, test := range map[string]struct {
		flag store.Flag
		want string
	}{
		"unwanted": {store.FlagUnwanted, unwanted},
		"nobody":   {store.FlagWanted, nobody},
	} {
		inHouse(t, nil, func(t *testing.T, h *house) {
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
			require.True(t, o.settlement.Due.After(now()), "it does not come back at once")
			require.Empty(t, h.upstream.calls)
		})
	}
}
