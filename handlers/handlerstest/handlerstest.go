// Package handlerstest holds what the tests of several handlers need: a store, a log that can be read, answers, and
// callers that close only their sending side.
package handlerstest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore"
)

// OpenStore returns an empty store in a temporary directory. The store is closed when the test ends. It collects the
// delivery feedback of a batch for one second before the feedback is due. If reports of a batch are missing, a fetch
// from Sinch is due one hour after the last callback about the batch.
func OpenStore(t *testing.T) *boltstore.Store {
	t.Helper()
	return OpenStoreWith(t, func(string) store.Policy {
		return store.Policy{
			Coalesce:       time.Second,
			MissingReports: store.MissingReports{Silence: time.Hour, Grace: 10 * time.Minute},
		}
	})
}

// OpenStoreWith returns an empty store with these policies in a temporary directory. It is closed when the test ends.
func OpenStoreWith(t *testing.T, p store.Policies) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(t.Context(), boltstore.Config{Path: t.TempDir(), Policies: p})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// Quiet returns a logger that discards everything.
func Quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// Log keeps log lines in memory, so that a test can check them. The zero value is an empty log. A Log is safe for
// concurrent use.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

// Write appends p to the log. The error is always nil.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns all lines logged so far, one JSON object per line if they come from Logger.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Logger returns a logger that writes lines of every level to l, as JSON.
func (l *Log) Logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Reply is an HTTP answer whose body has already been read into Content. Do not read Response.Body.
type Reply struct {
	*http.Response
	Content []byte
}

// Problem is the decoded JSON body of an error answer, whose Content-Type is application/problem+json (RFC 9457).
type Problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Parameter string `json:"parameter"`
	RequestID string `json:"request_id"`
}

// Problem decodes the body of the answer. The test fails if the answer is not problem+json, or if the status in the
// body differs from the status of the answer.
func (a Reply) Problem(t *testing.T) Problem {
	t.Helper()
	require.Equal(t, "application/problem+json", a.Header.Get("Content-Type"))
	var p Problem
	require.NoError(t, json.Unmarshal(a.Content, &p))
	require.Equal(t, a.StatusCode, p.Status)
	return p
}

// BasicHeader returns the value of an Authorization header for HTTP Basic. The argument has the form "user:password".
func BasicHeader(userAndPassword string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(userAndPassword))
}
