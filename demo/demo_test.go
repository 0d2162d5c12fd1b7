package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOnce runs the complete scenario and checks its summary and lines.
func TestOnce(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Run(t.Context(), Config{Out: &out, Once: true, JSON: true, Seed: 1}))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var s Summary
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &s))
	assert.Equal(t, len(scenario), s.Batches)
	assert.Greater(t, s.FeedbackRecipientsExpected, 100)
	assert.Equal(t, s.FeedbackRecipientsExpected, s.FeedbackRecipientsAccepted)
	assert.Positive(t, s.Duplicates)
	assert.Positive(t, s.Retries)
	assert.Positive(t, s.FoundMissing)
	assert.Greater(t, s.CallbacksReceived, s.RecipientsDelivered/2)
	assert.Zero(t, s.Dead)
	assert.Greater(t, s.Events, s.RecipientsDelivered)
	assert.Positive(t, s.DeliveriesFailed)
	for _, line := range []string{
		"→ sent", "← reports", "↺ duplicate", "⤨ late", "✗ upstream", "✓ feedback",
		"⇣ completed", "⇣ found", "✉ inbound", "⇨ events", "batch.completed", "inbound.received", "Done after",
	} {
		assert.Contains(t, out.String(), line)
	}
	assert.NotContains(t, out.String(), "\x1b", "no escape sequences without Color")
}

// TestEnds stops a demo without Once, as Ctrl-C does.
func TestEnds(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out := &signaling{text: "feedback wanted", seen: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, Config{Out: out, Color: true, Seed: 1}) }()
	select {
	case <-out.seen:
	case <-time.After(time.Minute):
		require.FailNow(t, "nothing was sent")
	}
	stop()
	require.NoError(t, <-ended)
}

// signaling is a writer that closes seen when text is written.
type signaling struct {
	mu   sync.Mutex
	text string
	seen chan struct{}
	once sync.Once
}

func (s *signaling) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if bytes.Contains(b, []byte(s.text)) {
		s.once.Do(func() { close(s.seen) })
	}
	return len(b), nil
}

// TestVerdict checks that a difference between owed and accepted feedback is an error.
func TestVerdict(t *testing.T) {
	require.NoError(t, Summary{FeedbackRecipientsExpected: 3}.verdict())
	require.Error(t, Summary{}.verdict(), "no feedback was owed, so the run proves nothing")
	require.Error(t, Summary{FeedbackRecipientsExpected: 3, missing: 1}.verdict())
	require.Error(t, Summary{FeedbackRecipientsExpected: 3, unexpected: 1}.verdict())
	require.Error(t, Summary{FeedbackRecipientsExpected: 3, problems: []string{"signature"}}.verdict())
}
