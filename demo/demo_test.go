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

// TestOnce tells the whole story and holds its summary against what happened.
func TestOnce(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Run(t.Context(), Config{Out: &out, Once: true, JSON: true, Seed: 1}))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var s Summary
	require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &s))
	assert.Equal(t, len(acts), s.Batches)
	assert.Greater(t, s.FeedbackRecipientsExpected, 100)
	assert.Equal(t, s.FeedbackRecipientsExpected, s.FeedbackRecipientsAccepted)
	assert.Positive(t, s.Duplicates)
	assert.Positive(t, s.Retries)
	assert.Positive(t, s.FoundMissing)
	assert.Greater(t, s.CallbacksReceived, s.RecipientsDelivered/2)
	assert.Zero(t, s.Dead)
	for _, told := range []string{"→ sent", "← reports", "↺ repeat", "⤨ overtaken", "✗ upstream", "✓ feedback", "⇣ completed", "⇣ found", "The loop is closed"} {
		assert.Contains(t, out.String(), told)
	}
	assert.NotContains(t, out.String(), "\x1b", "colours are for terminals")
}

// TestEnds ends the story that goes on, as Ctrl-C does.
func TestEnds(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	out := &signalling{text: "feedback wanted", seen: make(chan struct{})}
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

// signalling closes seen once text was written.
type signalling struct {
	mu   sync.Mutex
	text string
	seen chan struct{}
	once sync.Once
}

func (s *signalling) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if bytes.Contains(b, []byte(s.text)) {
		s.once.Do(func() { close(s.seen) })
	}
	return len(b), nil
}

// TestVerdict fails a story in which Sinch has not exactly what it was owed.
func TestVerdict(t *testing.T) {
	require.NoError(t, Summary{FeedbackRecipientsExpected: 3}.verdict())
	require.Error(t, Summary{}.verdict(), "nothing was owed: the story proves nothing")
	require.Error(t, Summary{FeedbackRecipientsExpected: 3, missing: 1}.verdict())
	require.Error(t, Summary{FeedbackRecipientsExpected: 3, unearned: 1}.verdict())
}
