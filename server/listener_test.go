package server

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/config"
)

// exhausted is a listener whose first Accept fails because no file descriptor is left.
type exhausted struct {
	net.Listener
	once bool
}

func (e *exhausted) Accept() (net.Conn, error) {
	if !e.once {
		e.once = true
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return e.Listener.Accept()
}

// TestLevelsOfNetHTTPLogLines checks that a failing accept is logged at WARN and lines that clients cause at DEBUG.
func TestLevelsOfNetHTTPLogLines(t *testing.T) {
	var text bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	l, err := listen(t.Context(), "public", "127.0.0.1:0", config.TLS{},
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
			w.WriteHeader(http.StatusNoContent) // net/http logs the second call
		}), log)
	require.NoError(t, err)
	l.Listener = &exhausted{Listener: l.Listener}
	ended := make(chan error, 1)
	go func() { ended <- l.serve() }()
	answer, err := http.Get("http://" + l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.NoError(t, l.shutdown(time.Minute))
	require.NoError(t, <-ended)

	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	require.Len(t, lines, 2)
	for i, want := range []struct{ level, begin string }{
		{"WARN", "http: Accept error: "},
		{"DEBUG", "http: superfluous response.WriteHeader call"},
	} {
		var line struct{ Level, Msg, Listener string }
		require.NoError(t, json.Unmarshal([]byte(lines[i]), &line))
		assert.Equal(t, want.level, line.Level)
		assert.True(t, strings.HasPrefix(line.Msg, want.begin), line.Msg)
		assert.NotContains(t, line.Msg, "\n")
		assert.Equal(t, "public", line.Listener)
	}
}
