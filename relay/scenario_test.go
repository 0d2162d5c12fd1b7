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

// Whatever happens between a report and Sinch, every recipient ends sent, dropped because the batch wants no feedback, or
// dead; nobody is accepted twice; and no call is made that names nobody, or for a batch whose flag is not known to say so.
func TestEveryTaskEnds(t *testing.T) {
	for seed := range uint64(25) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			seldom := func(c *Config) {
				c.Plans[0].PollInterval = 20 * time.Second
				c.Rand = rand.New(rand.NewPCG(seed, 1)).Float64
				c.Plans[0].Workers = 1 // the one goroutine that draws from Rand
			}
			inHouse(t, seldom, func(t *testing.T, h *house) {
				s := scenario{h: h, random: rand.New(rand.NewPCG(seed, 2))}
				s.play()
				s.check(t)
			})
		})
	}
}

// scenario is a day on which much goes wrong, and then nothing more.
type scenario struct {
	h       *house
	random  *rand.Rand
	batches []scenarioBatch
}

type scenarioBatch struct {
	id      string
	known   bool // to Sinch
	enabled bool
	told    bool // the gateway has told that it wants feedback
}

func (s *scenario) play() {
	for i := range 12 {
		b := scenarioBatch{id: fmt.Sprintf("batch-%d", i), known: s.chance(5, 6), enabled: s.chance(3, 4), told: s.chance(1, 3)}
		s.batches = append(s.batches, b)
		numbers := []string{ada, bob, "12025550143"}[:1+s.random.IntN(3)]
		if b.known {
			s.h.upstream.knows(b.id, b.enabled)
			s.h.upstream.reportsFull(b.id, batchReport(b.id, true, numbers...))
		}
		if b.told {
			s.h.flagged(planA, b.id, true)
		}
		switch s.random.IntN(3) {
		case 0:
			s.h.delivered(planA, b.id, numbers...)
		case 1:
			s.h.report(planA, batchReport(b.id, true, numbers...))
		case 2:
			s.h.report(planA, batchReport(b.id, false, numbers...))
		}
		if s.chance(1, 2) {
			s.trouble()
		}
		if s.chance(1, 6) {
			s.h.store.FailRecord([]storetest.Kind{storetest.NotApplied, storetest.Applied}[s.random.IntN(2)], store.ErrBusy, 1+s.random.IntN(5))
			s.h.pass(20 * time.Second) // longer than the faults last, so that the next report is taken
			s.h.store.Heal()
		}
		if s.chance(1, 6) {
			s.h.stop()
			s.h.start()
		}
		s.h.pass(time.Duration(s.random.IntN(30)) * time.Second)
	}
	s.h.pass(24 * time.Hour)
}

func (s *scenario) trouble() {
	answers := []http.HandlerFunc{
		nil,
		says(400, `{"code":"syntax_constraint_violation"}`),
		says(401, ""), says(403, ""), says(404, ""), says(408, ""),
		says(429, ""), says(429, "", "Retry-After", "100"),
		says(500, ""), says(503, "", "Retry-After", "7"),
		says(200, "<html>"), says(302, ""),
		hangs(time.Minute, says(202, "")),
		hangs(3*time.Second, says(500, "")),
	}
	operations := []string{getBatch, getReport, postFeedback, postFeedback}
	s.h.upstream.fail(operations[s.random.IntN(len(operations))], 1+s.random.IntN(6), answers[s.random.IntN(len(answers))])
}

func (s *scenario) chance(n, of int) bool { return s.random.IntN(of) < n }

func (s *scenario) check(t *testing.T) {
	lookedUp := make(map[string]bool)
	accepted := make(map[string]int)
	told := make(map[string]bool)
	for _, b := range s.batches {
		told[b.id] = b.told
	}
	for _, c := range s.h.upstream.calls {
		switch c.operation {
		case getBatch:
			lookedUp[c.batchID] = true
		case postFeedback:
			require.NotEmpty(t, c.recipients)
			require.True(t, told[c.batchID] || lookedUp[c.batchID], "feedback for a batch whose flag is not known")
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
		if !b.enabled && !b.told {
			require.Zero(t, kept.Feedback.Sent)
		}
	}
}
