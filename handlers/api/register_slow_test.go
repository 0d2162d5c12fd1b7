package api

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store/boltstore"
)

// singleListener is a net.Listener that returns the connections sent to it.
type singleListener chan net.Conn

func (l singleListener) Accept() (net.Conn, error) {
	c, open := <-l
	if !open {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l singleListener) Close() error { close(l); return nil }

func (l singleListener) Addr() net.Addr { return &net.TCPAddr{} }

// registerSlowly sends one registration to a server with the production time-outs, within a synctest bubble; body
// writes its lines. It returns the answer and the time until it came.
func registerSlowly(t *testing.T, body func(w io.Writer)) (a handlerstest.Reply, took time.Duration) {
	t.Helper()
	st, err := boltstore.Open(t.Context(), boltstore.Config{Path: t.TempDir()})
	require.NoError(t, err)
	defer func() { require.NoError(t, st.Close()) }()
	p, err := New(Config{Listen: "127.0.0.1:0", Plans: []string{planEU}}, st, http.NotFoundHandler(),
		handlerstest.Quiet())
	require.NoError(t, err)
	server := &http.Server{Handler: p.Handler(), ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second}
	listener, done := make(singleListener, 1), make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	near, far := net.Pipe()
	listener <- far
	defer func() {
		require.NoError(t, near.Close())
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-done, http.ErrServerClosed)
		time.Sleep(time.Second) // net/http waits before it closes a connection with an unread body
	}()

	begun := time.Now()
	go func() {
		_, _ = io.WriteString(near, "POST "+registerAddress+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: "+ndjson+
			"\r\nTransfer-Encoding: chunked\r\n\r\n")
		body(near)
	}()
	answered, err := http.ReadResponse(bufio.NewReader(near), nil)
	require.NoError(t, err)
	got, err := io.ReadAll(answered.Body)
	require.NoError(t, err)
	require.NoError(t, answered.Body.Close())
	return handlerstest.Reply{Response: answered, Content: got}, time.Since(begun)
}

// chunk writes text as one HTTP chunk.
func chunk(w io.Writer, text string) { _, _ = fmt.Fprintf(w, "%x\r\n%s\r\n", len(text), text) }

func TestARegistrationMayTakeLongerThanTheServersTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, took := registerSlowly(t, func(w io.Writer) {
			for i := range 10 {
				chunk(w, sent(fmt.Sprint("b", i), 0, "")+"\n")
				time.Sleep(14 * time.Second)
			}
			_, _ = io.WriteString(w, "0\r\n\r\n")
		})
		wantRegistered(t, 10, a)
		require.Equal(t, 140*time.Second, took)
	})
}

func TestAStalledRegistrationIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, took := registerSlowly(t, func(w io.Writer) { chunk(w, sent("b", 0, "")+"\n"+`{"id": "cut sh`) })
		require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
		require.Equal(t, "the body did not arrive completely; retry later (1 registered)", a.Problem(t).Detail)
		require.InDelta(t, 20, took.Seconds(), 1)
	})
}
