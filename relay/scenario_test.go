package relay

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// Whatever fails between a report and Sinch, every recipient ends sent, dropped because the batch does not want
// feedback, or dead. No recipient is accepted twice, and no call is made without recipients or for a batch whose flag
// is unknown.
func TestEveryTaskEnds(t *testing.T) {
	for seed := range uint64(25) {
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
			s.h.upstream.addBatch(b.id, b.enabled)
			s.h.upstream.addFullReport(b.id, batchReport(b.id, true, numbers...))
		}
		if b.recorded {
			s.h.recordFlag(planA, b.id, true)
		}
		switch s.random.IntN(3) {
		case 0:
			s.h.recordDelivered(planA, b.id, numbers...)
		case 1:
			s.h.recordReport(planA, batchReport(b.id, true, numbers...))
		case 2:
			s.h.recordReport(planA, batchReport(b.id, false, numbers...))
		}
		if s.chance(1, 2) {
			s.addFault()
		}
		if s.chance(1, 6) {
			kind := []storetest.Kind{storetest.NotApplied, storetest.Applied}[s.random.IntN(2)]
			s.h.store.FailRecord(kind, store.ErrBusy, 1+s.random.IntN(5))
			s.h.advance(20 * time.Second) // longer than the faults last, so that the next Record succeeds
			s.h.store.Heal()
		}
		if s.chance(1, 6) {
			s.h.stop()
			s.h.start()
		}
		s.h.advance(time.Duration(s.random.IntN(30)) * time.Second)
	}
	s.h.advance(24 * time.Hour)
}

func (s *scenario) addFault() {
	answers := []http.HandlerFunc{
		nil,
		respond(400, `{"code":"syntax_constraint_violation"}`),
		respond(401, ""), respond(403, ""), respond(404, ""), respond(408, ""),
		respond(429, ""), respond(429, "", "Retry-After", "100"),
		respond(500, ""), respond(503, "", "Retry-After", "7"),
		respond(200, "<html>"), respond(302, ""),
		respondAfter(time.Minute, respond(202, "")),
		respondAfter(3*time.Second, respond(500, "")),
	}
	operations := []string{getBatch, getReport, postFeedback, postFeedback}
	s.h.upstream.fail(operations[s.random.IntN(len(operations))], 1+s.random.IntN(6), answers[s.random.IntN(len(answers))])
}

func (s *scenario) chance(n, of int) bool { return s.random.IntN(of) < n }

func (s *scenario) check(t *testing.T) {
	lookedUp := make(map[string]bool)
	accepted := make(map[string]int)
	recorded := make(map[string]bool)
	for _, b := range s.batches {
		recorded[b.id] = b.recorded
	}
	for _, c := range s.h.upstream.calls {
		switch c.operation {
		case getBatch:
			lookedUp[c.batchID] = true
		case postFeedback:
			require.NotEmpty(t, c.recipients)
			require.True(t, recorded[c.batchID] || lookedUp[c.batchID], "feedback for a batch whose flag is unknown")
			if c.accepted {
				for _, r := range c.recipients {
					accepted[c.batchID+" "+r]++
				}
			}
		}
	}
	for recipient, times := range accepted {
		require.Equal(t, 1, times, recipient)
	}
	for _, b := range s.batches {
		kept := s.h.batch(planA, b.id)
		require.Nil(t, kept.Task, "%+v", b)
		require.False(t, kept.WantFull && kept.Flag != store.FlagUnwanted)
		if kept.Flag == store.FlagWanted {
			require.Zero(t, kept.Feedback.Owed)
		}
		if !b.enabled && !b.recorded {
			require.Zero(t, kept.Feedback.Sent)
		}
	}
}
