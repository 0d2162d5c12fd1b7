package feedback

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/dlrloop/dlrloop/relay/relaytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	planA  = relaytest.PlanA
	batch1 = relaytest.Batch1
	ada    = relaytest.Ada
	bob    = relaytest.Bob
)

// harness is a relay with a real store and an upstream.
type harness struct {
	*relaytest.Harness
	relay *Relay
	stop  func() // ends Run and waits for it
}

// inBubble runs a test in a synctest bubble with a relay for plan A; change may alter its configuration.
func inBubble(t *testing.T, change func(*Config), test func(t *testing.T, h *harness)) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, change)
		h.start()
		test(t, h)
	})
}

func newHarness(t *testing.T, change func(*Config)) *harness {
	t.Helper()
	return newHarnessOn(relaytest.New(t), change)
}

// newHarnessOn returns a relay with the upstream and store of on. change may alter its configuration.
func newHarnessOn(on *relaytest.Harness, change func(*Config)) *harness {
	on.T.Helper()
	c := Config{Plans: []Plan{{ID: planA}}, Rand: relaytest.Random}
	if change != nil {
		change(&c)
	}
	for i := range c.Plans {
		if c.Plans[i].Client == nil {
			c.Plans[i].Client = on.Client(c.Plans[i].ID)
		}
	}
	r, err := New(c, on.Store, on.Metrics, on.Log)
	require.NoError(on.T, err)
	folded := r.Folded
	on.Folded.Store(&folded)
	return &harness{Harness: on, relay: r}
}

// start runs the relay until stop or the end of the test.
func (h *harness) start() { h.stop = h.Run(h.relay.Run) }
