package api

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
)

// followPiped sends a request to the feed of a server with the production timeouts, within a synctest bubble. It
// returns the connection and the answer. No byte of the answer is sent before it is read.
func followPiped(t *testing.T, l *memoryLog, query, header string, log *slog.Logger) (net.Conn, feedReader) {
	t.Helper()
	p, err := New(Config{Listen: "127.0.0.1:0", Events: l}, nil, http.NotFoundHandler(), log)
	require.NoError(t, err)
	server := &http.Server{Handler: p.Handler(), ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second}
	listener, done := make(singleListener, 1), make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	near, far := net.Pipe()
	listener <- far
	t.Cleanup(func() {
		_ = near.Close()
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-done, http.ErrServerClosed)
		time.Sleep(time.Second) // the feed notices that the client has left
	})
	_, err = io.WriteString(near, "GET /api/v1/events"+query+" HTTP/1.1\r\nHost: localhost\r\n"+header+"\r\n")
	require.NoError(t, err)
	answer, err := http.ReadResponse(bufio.NewReader(near), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	return near, feedReader{Response: answer, lines: bufio.NewReader(answer.Body)}
}

// An idle feed sends a heartbeat every 15 seconds, and no timeout of the server ends it. Heartbeats carry the client
// past events that its filter leaves out.
func TestTheFeedSendsHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &memoryLog{}
		l.add(sampleEvents()...)
		_, r := followPiped(t, l, "?after=now&type=batch.completed", "", handlerstest.Quiet())
		require.Equal(t, `{"cursor":"c10"}`, r.line(t))
		begin := time.Now()
		for range 100 {
			require.Equal(t, `{"cursor":"c10"}`, r.line(t))
		}
		require.InDelta(t, 1500, time.Since(begin).Seconds(), 25)
		l.add(sampleEvents()[6])
		require.Equal(t, `{"cursor":"c11"}`, r.line(t))
		l.add(sampleEvents()[4])
		begin = time.Now()
		require.Equal(t, asLine(t, 11, sampleEvents()[4]), r.line(t))
		require.Less(t, time.Since(begin), time.Second)
	})
}

func TestHeartbeatsOfServerSentEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, r := followPiped(t, &memoryLog{}, "?after=now", "Accept: text/event-stream\r\n", handlerstest.Quiet())
		for _, want := range []string{"retry: 2000", "", ": heartbeat", "id: c0", "", ": heartbeat", "id: c0", ""} {
			require.Equal(t, want, r.line(t))
		}
	})
}

// A client may read slowly, but not stall.
func TestTheFeedDisconnectsStalledClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log handlerstest.Log
		l, big := &memoryLog{}, sampleEvents()[6]
		big.Detail = strings.Repeat("x", 4*feedChunk)
		for range 10 {
			l.add(big)
		}
		near, r := followPiped(t, l, "", "", log.Logger())
		begin := time.Now()
		for n := range 10 {
			for range 4 { // a quarter of the line, then a pause
				_, err := r.lines.Peek(1)
				require.NoError(t, err)
				_, err = io.CopyN(io.Discard, r.lines, feedChunk)
				require.NoError(t, err)
				time.Sleep(20 * time.Second)
			}
			require.True(t, strings.HasSuffix(r.line(t), "}"), n)
		}
		require.Greater(t, time.Since(begin), 10*time.Minute)
		require.Empty(t, log.String())

		l.add(big, big)
		time.Sleep(time.Minute)
		_, err := io.ReadAll(near)
		require.NoError(t, err)
		require.Contains(t, log.String(), "accepts no data")
		_, err = near.Write([]byte("x"))
		require.Error(t, err, "the connection is closed")
	})
}
