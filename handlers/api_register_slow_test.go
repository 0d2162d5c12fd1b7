package handlers

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

	"github.com/dlrloop/dlrloop/store/boltstore"
)

// singleListener is a listener that has one connection.
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

// registerSlowly has body write the lines of one registration, in a bubble, to a server with the time-outs of the real one.
// It returns the answer and how long it took.
func registerSlowly(t *testing.T, body func(w io.Writer)) (a reply, took time.Duration) {
	t.Helper()
	st, err := boltstore.Open(t.Context(), boltstore.Config{Path: t.TempDir()})
	require.NoError(t, err)
	defer func() { require.NoError(t, st.Close()) }()
	p, err := NewPrivate(PrivateConfig{Listen: "127.0.0.1:0", Plans: []string{planEU}}, st, http.NotFoundHandler(), quiet())
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
		time.Sleep(time.Second) // net/http lingers on a connection whose body it has not read
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
	return reply{answered, got}, time.Since(begun)
}

// chunk writes text in a chunk of its own.
func chunk(w io.Writer, text string) { _, _ = fmt.Fprintf(w, "%x\r\n%s\r\n", len(text), text) }

func TestALongRegistrationOutlastsTheServersTimeouts(t *testing.T) {
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

func TestARegistrationThatStandsStillIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, took := registerSlowly(t, func(w io.Writer) { chunk(w, sent("b", 0, "")+"\n"+`{"id": "cut sh`) })
		require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
		require.Equal(t, "the body did not arrive whole (1 registered)", decodeProblem(t, a).Detail)
		require.InDelta(t, 20, took.Seconds(), 1)
	})
}
