package feedback

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/relay/relaytest"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// Whatever fails between a report and Sinch, every recipient ends sent, dropped because the batch does not want
// feedback, or dead. No recipient is accepted twice, and no call is made without recipients or for a batch whose flag
// is unknown.
func TestEveryTaskEnds(t *testing.T) {
	seeds := uint64(25)
	if testing.Short() { // with the race detector
		seeds = 5
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			seldom := func(c *Config) {
				c.Plans[0].PollInterval = 20 * time.Second
				c.Rand = rand.New(rand.NewPCG(seed, 1)).Float64
				c.Plans[0].Workers = 1 // Rand is not safe for concurrent use
			}
			inBubble(t, seldom, func(t *testing.T, h *harness) {
				s := scenario{h: h, random: rand.New(rand.NewPCG(seed, 2))}
				s.run()
				s.check(t)
			})
		})
	}
}

// scenario is a random sequence of reports and faults, followed by a day without new faults.
type scenario struct {
	h       *harness
	random  *rand.Rand
	batches []scenarioBatch
}

type scenarioBatch struct {
	id       string
	known    bool // Sinch knows the batch
	enabled  bool
	recorded bool // the gateway recorded that the batch wants feedback
}

func (s *scenario) run() {
	for i := range 12 {
		b := scenarioBatch{
			id: fmt.Sprintf("batch-%d", i), known: s.chance(5, 6), enabled: s.chance(3, 4), recorded: s.chance(1, 3),
		}
		s.batches = append(s.batches, b)
		numbers := []string{ada, bob, "12025550143"}[:1+s.random.IntN(3)]
		if b.known {
			s.h.Upstream.AddBatch(b.id, b.enabled)
			s.h.Upstream.AddFullReport(b.id, relaytest.BatchReport(b.id, true, numbers...))
		}
		if b.recorded {
			s.h.RecordFlag(planA, b.id, true)
		}
		switch s.random.IntN(3) {
		case 0:
			s.h.RecordDelivered(planA, b.id, numbers...)
		case 1:
			s.h.RecordReport(planA, relaytest.BatchReport(b.id, true, numbers...))
		case 2:
			s.h.RecordReport(planA, relaytest.BatchReport(b.id, false, numbers...))
		}
		if s.chance(1, 2) {
			s.addFault()
		}
		if s.chance(1, 6) {
			kind := []storetest.Kind{storetest.NotApplied, storetest.Applied}[s.random.IntN(2)]
			s.h.Store.FailRecord(kind, store.ErrBusy, 1+s.random.IntN(5))
			s.h.Advance(20 * time.Second) // longer than the faults last, so that the next Record succeeds
			s.h.Store.Heal()
		}
		if s.chance(1, 6) {
			s.h.stop()
			s.h.start()
		}
		s.h.Advance(time.Duration(s.random.IntN(30)) * time.Second)
	}
	s.h.Advance(24 * time.Hour)
}

func (s *scenario) addFault() {
	answers := []http.HandlerFunc{
		nil,
		relaytest.Respond(400, `{"code":"syntax_constraint_violation"}`),
		relaytest.Respond(401, ""), relaytest.Respond(403, ""), relaytest.Respond(404, ""), relaytest.Respond(408, ""),
		relaytest.Respond(429, ""), relaytest.Respond(429, "", "Retry-After", "100"),
		relaytest.Respond(500, ""), relaytest.Respond(503, "", "Retry-After", "7"),
		relaytest.Respond(200, "<html>"), relaytest.Respond(302, ""),
		relaytest.RespondAfter(time.Minute, relaytest.Respond(202, "")),
		relaytest.RespondAfter(3*time.Second, relaytest.Respond(500, "")),
	}
	operations := []string{relaytest.GetBatch, relaytest.GetReport, relaytest.PostFeedback, relaytest.PostFeedback}
	s.h.Upstream.Fail(operations[s.random.IntN(len(operations))], 1+s.random.IntN(6), answers[s.random.IntN(len(answers))])
}

func (s *scenario) chance(n, of int) bool { return s.random.IntN(of) < n }

func (s *scenario) check(t *testing.T) {
	lookedUp := make(map[string]bool)
	accepted := make(map[string]int)
	recorded := make(map[string]bool)
	for _, b := range s.batches {
		recorded[b.id] = b.recorded
	}
	for _, c := range s.h.Upstream.Requests("") {
		switch c.Operation {
		case relaytest.GetBatch:
			lookedUp[c.BatchID] = true
		case relaytest.PostFeedback:
			require.NotEmpty(t, c.Recipients)
			require.True(t, recorded[c.BatchID] || lookedUp[c.BatchID], "feedback for a batch whose flag is unknown")
			if c.Accepted {
				for _, r := range c.Recipients {
					accepted[c.BatchID+" "+r]++
				}
			}
		}
	}
	for recipient, times := range accepted {
		require.Equal(t, 1, times, recipient)
	}
	for _, b := range s.batches {
		kept := s.h.Batch(planA, b.id)
		require.Nil(t, kept.Task, "%+v", b)
		require.False(t, kept.NeedsFullReport && kept.Flag != store.FlagUnwanted)
		if kept.Flag == store.FlagWanted {
			require.Zero(t, kept.Feedback.Owed)
		}
		if !b.enabled && !b.recorded {
			require.Zero(t, kept.Feedback.Sent)
		}
	}
}
