package webhook_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// dial opens a connection and writes text to it.
func (p *publicServer) dial(t *testing.T, text string) *net.TCPConn {
	t.Helper()
	connection, err := net.Dial("tcp", p.server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	_, err = io.WriteString(connection, text)
	require.NoError(t, err)
	return connection.(*net.TCPConn)
}

func head(length int) string {
	return fmt.Sprintf("POST /webhooks/%s HTTP/1.1\r\nHost: h\r\nX-Callback-Token: token-of-sinch\r\n"+
		"Content-Length: %d\r\n\r\n", plan, length)
}

func TestAReportIsStoredAfterItsCallerDisconnects(t *testing.T) {
	p := servePublic(t, nil)
	p.store.FailRecord(storetest.Stuck, nil, 1)
	body := string(report("447700900133").body)
	connection := p.dial(t, head(len(body))+body)
	p.store.AwaitWaiting(1)
	require.NoError(t, connection.SetLinger(0))
	require.NoError(t, connection.Close())
	p.store.Release()
	p.server.Close() // waits for the handler
	require.Len(t, p.kept(t), 1)
	require.Equal(t, 1, p.count(t, "callbacks_total", "outcome=stored"))
}

func TestAnIncompleteBodyIsAnswered503(t *testing.T) {
	for name, sent := range map[string]string{
		"short":      head(400) + `{"type":`,
		"nothing":    head(400),
		"bad chunks": strings.Replace(head(0), "Content-Length: 0", "Transfer-Encoding: chunked", 1) + "zz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			p := servePublic(t, nil)
			connection := p.dial(t, sent)
			require.NoError(t, connection.CloseWrite())
			answer, err := io.ReadAll(connection)
			require.NoError(t, err)
			require.Regexp(t, "^HTTP/1.1 503 ", string(answer))
			require.Equal(t, 1, p.count(t, "callbacks_total", "outcome=incomplete"))
			require.Zero(t, p.count(t, "lossy_responses_total"))
			require.Empty(t, p.quarantined(t))
		})
	}
}

func TestTheHeadIsAuthenticatedBeforeTheBodyArrives(t *testing.T) {
	signed := func(change func(http.Header)) http.Header {
		h := sign("s", nil, time.Now())
		change(h)
		return h
	}
	for name, c := range map[string]struct {
		auth   webhook.Auth
		header http.Header
	}{
		"header":          {byHeader("token-of-sinch"), http.Header{"X-Callback-Token": {"guess"}}},
		"no signature":    {bySecrets("s"), signed(func(h http.Header) { h.Del(signature) })},
		"no nonce":        {bySecrets("s"), signed(func(h http.Header) { h.Del(nonce) })},
		"no timestamp":    {bySecrets("s"), signed(func(h http.Header) { h.Del(timestamp) })},
		"empty signature": {bySecrets("s"), signed(func(h http.Header) { h.Set(signature, "") })},
		"other algorithm": {bySecrets("s"), signed(func(h http.Header) { h.Set(algorithm, "HmacSHA512") })},
	} {
		t.Run(name, func(t *testing.T) {
			p := serveAuth(t, c.auth)
			require.Equal(t, "503", post(p.dial(t, ""), c.header, 1<<20, nil)())
			require.Equal(t, 1, p.count(t, "callbacks_total", "outcome=unauthorized"))
		})
	}
}

func TestLargeBodiesArriveWhole(t *testing.T) {
	if testing.Short() {
		t.Skip("long computation in one goroutine")
	}
	p := servePublic(t, nil)
	c := report("447700900133")
	c.body = append(c.body, bytes.Repeat([]byte(" \n"), 3<<20)...)
	for _, length := range []int64{0, -1} {
		c.length = length
		require.Equal(t, http.StatusOK, p.send(t, c).status)
		require.Equal(t, []string{string(c.body)}, p.kept(t))
	}
	c.body, c.length = zipped(t, c.body), 0
	require.Equal(t, http.StatusOK, p.send(t, c).status)
	require.Len(t, p.kept(t), 1)
}

// recorder keeps the last arrival in memory. It replaces the store in synctest bubbles, whose clock does not wait for
// a disk.
type recorder struct{ last store.Arrival }

func (r *recorder) Record(_ context.Context, a store.Arrival) error {
	r.last = a
	return nil
}

// pipe is an in-memory net.Listener.
type pipe struct {
	connections chan net.Conn
	closed      chan struct{}
}

func (p pipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.connections:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipe) Close() error {
	close(p.closed)
	return nil
}

func (p pipe) Addr() net.Addr { return &net.TCPAddr{} }

// overPipe serves the public listener on one in-memory connection and returns the client's end. It works in synctest
// bubbles.
func overPipe(t *testing.T, c webhook.Config, s webhook.Recorder) net.Conn {
	t.Helper()
	return overPipes(t, c, s)()
}

// overPipes serves the public listener on in-memory connections that dial opens. It works in synctest bubbles.
func overPipes(t *testing.T, c webhook.Config, s webhook.Recorder) (dial func() net.Conn) {
	t.Helper()
	m := metrics.New(prometheus.NewRegistry(), metrics.Config{Plans: []string{plan}})
	public, err := webhook.New(c, s, m, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	l := pipe{make(chan net.Conn), make(chan struct{})}
	var dialed []net.Conn
	server := &http.Server{Handler: public.Handler(), ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		for _, near := range dialed {
			_ = near.Close()
		}
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-done, http.ErrServerClosed)
		time.Sleep(time.Second) // net/http waits before it closes a connection with an unread body
	})
	return func() net.Conn {
		near, far := net.Pipe()
		l.connections <- far
		dialed = append(dialed, near)
		return near
	}
}

func TestABodyThatMovesMayTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := &recorder{}
		c := webhook.Config{Plans: []webhook.Plan{{ID: plan, Auth: byHeader("token-of-sinch")}}}
		connection := overPipe(t, c, kept)
		body := append(report("447700900133").body, bytes.Repeat([]byte(" "), 1<<20)...)
		answer := make(chan string, 1)
		go func() {
			b := make([]byte, 12)
			_, _ = io.ReadFull(connection, b)
			answer <- string(b)
		}()
		_, err := io.WriteString(connection, head(len(body)))
		require.NoError(t, err)
		for part := range chunks(body, 32<<10) { // 21 KiB per second for 50 seconds
			time.Sleep(1500 * time.Millisecond)
			_, err := connection.Write(part)
			require.NoError(t, err)
		}
		require.Equal(t, "HTTP/1.1 200", <-answer)
		require.Len(t, kept.last.Entry.(store.Report).Raw, len(body))
		require.Equal(t, time.Now(), kept.last.At.In(time.Local))
	})
}

func TestAStalledBodyIsAnswered503(t *testing.T) {
	most := strings.Repeat(" ", 16<<20-1)
	for name, c := range map[string]struct {
		sent  string
		drips bool
	}{
		"from the start":       {"", false},
		"on its way":           {`{"type":`, false},
		"at its end":           {most, false},
		"but for a drip":       {`{"type":`, true},
		"at its end, but drip": {most[1<<10:], true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config := webhook.Config{Plans: []webhook.Plan{{
					ID:   plan,
					Auth: byHeader("token-of-sinch"),
				}}}
				connection := overPipe(t, config, &recorder{})
				begun := time.Now()
				_, err := io.WriteString(connection, head(16<<20)+c.sent)
				require.NoError(t, err)
				if c.drips {
					go drip(t.Context(), connection)
				}
				b := make([]byte, 12)
				_, err = io.ReadFull(connection, b)
				require.NoError(t, err)
				require.Equal(t, "HTTP/1.1 503", string(b))
				require.InDelta(t, 15, time.Since(begun).Seconds(), 1)
			})
		})
	}
}

func drip(ctx context.Context, w io.Writer) {
	for {
		select {
		case <-time.After(5 * time.Second):
			_, _ = io.WriteString(w, " ")
		case <-ctx.Done():
			return
		}
	}
}

// slow is a store whose Record takes a fixed time, unless ctx ends first.
type slow struct {
	recorder
	takes time.Duration
}

func (s *slow) Record(ctx context.Context, a store.Arrival) error {
	select {
	case <-time.After(s.takes):
		return s.recorder.Record(ctx, a)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// The time that remains for reading the body does not limit the store.
func TestASlowBodyDoesNotShortenTheStoreTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := webhook.Config{Plans: []webhook.Plan{{ID: plan, Auth: byHeader("token-of-sinch")}}}
		connection := overPipe(t, c, &slow{takes: 9 * time.Second})
		body := report("447700900133").body
		_, err := io.WriteString(connection, head(len(body))+string(body[:20]))
		require.NoError(t, err)
		time.Sleep(14 * time.Second)
		_, err = connection.Write(body[20:])
		require.NoError(t, err)
		b := make([]byte, 12)
		_, err = io.ReadFull(connection, b)
		require.NoError(t, err)
		require.Equal(t, "HTTP/1.1 200", string(b))
	})
}

func chunks(b []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			n := min(size, len(b))
			if !yield(b[:n]) {
				return
			}
			b = b[n:]
		}
	}
}
