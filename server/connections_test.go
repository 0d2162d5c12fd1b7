package server

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/metrics"
)

// limited is a listener with few connections, and its metrics.
type limited struct {
	t        *testing.T
	address  string
	registry *prometheus.Registry
	watched  *connections
}

func newLimited(t *testing.T, limit int, h http.HandlerFunc) *limited {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	l, err := listen(t.Context(), "public", "127.0.0.1:0", config.TLS{}, h, quiet)
	require.NoError(t, err)
	registry := prometheus.NewRegistry()
	watched := newConnections(limit, metrics.New(registry, metrics.Config{}), quiet)
	l.http.ConnState = watched.stateChanged
	ended := make(chan error, 1)
	go func() { ended <- l.serve() }()
	t.Cleanup(func() {
		_ = l.http.Close()
		require.NoError(t, <-ended)
	})
	return &limited{t, l.Addr().String(), registry, watched}
}

// dial opens a connection and returns when the server has accepted it.
func (l *limited) dial() net.Conn {
	l.t.Helper()
	c, err := net.Dial("tcp", l.address)
	require.NoError(l.t, err)
	l.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (l *limited) gauge(name string) float64 {
	l.t.Helper()
	families, err := l.registry.Gather()
	require.NoError(l.t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	require.Fail(l.t, "no metric "+name)
	return 0
}

func (l *limited) eventually(name string, value float64) {
	l.t.Helper()
	require.Eventually(l.t, func() bool { return l.gauge(name) == value }, time.Minute, time.Millisecond)
}

const healthz = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"

func answered(t *testing.T, c net.Conn) {
	t.Helper()
	_, err := io.WriteString(c, healthz)
	require.NoError(t, err)
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode)
}

// TestConnectionsAreLimited checks that a new connection closes the longest idle one.
func TestConnectionsAreLimited(t *testing.T) {
	l := newLimited(t, 3, func(http.ResponseWriter, *http.Request) {})
	require.EqualValues(t, 3, l.gauge("dlrloop_connections_limit"))
	first := l.dial()
	l.eventually("dlrloop_connections", 1)
	second := l.dial()
	l.eventually("dlrloop_connections", 2)
	answered(t, l.dial())
	answered(t, first) // first is now the last to become idle
	answered(t, l.dial())
	_, err := second.Read(make([]byte, 1))
	require.Error(t, err, "closed")
	answered(t, first)
	l.eventually("dlrloop_connections", 3)
	require.EqualValues(t, 1, l.gauge("dlrloop_connections_dropped_total"))
}

// TestABusyConnectionIsKept checks that a connection that serves a request is not closed for a new one.
func TestABusyConnectionIsKept(t *testing.T) {
	serving, end := make(chan struct{}), make(chan struct{})
	l := newLimited(t, 1, func(http.ResponseWriter, *http.Request) {
		serving <- struct{}{}
		<-end
	})
	busy := l.dial()
	_, err := io.WriteString(busy, healthz)
	require.NoError(t, err)
	<-serving
	_, err = l.dial().Read(make([]byte, 1))
	require.Error(t, err, "closed")
	close(end)
	b := make([]byte, len("HTTP/1.1 200"))
	_, err = io.ReadFull(busy, b)
	require.NoError(t, err)
	l.eventually("dlrloop_connections", 1)
	require.NoError(t, busy.Close())
	l.eventually("dlrloop_connections", 0)
	l.watched.mu.Lock()
	defer l.watched.mu.Unlock()
	require.Empty(t, l.watched.open)
	require.Empty(t, l.watched.clients)
}

// from is a connection with a given remote address.
type from struct {
	net.Conn
	address string
	closed  bool
}

func (f *from) RemoteAddr() net.Addr {
	a, _ := net.ResolveTCPAddr("tcp", f.address)
	return a
}

func (f *from) Close() error {
	f.closed = true
	return nil
}

// TestTheClientWithTheMostConnectionsLosesOne checks that a client with few connections keeps them, even if they have
// been idle longer.
func TestTheClientWithTheMostConnectionsLosesOne(t *testing.T) {
	c := newConnections(4, metrics.New(prometheus.NewRegistry(), metrics.Config{}), slog.New(slog.DiscardHandler))
	modest := &from{address: "192.0.2.1:1"}
	c.stateChanged(modest, http.StateNew)
	var greedy []*from
	for i := range 6 {
		greedy = append(greedy, &from{address: net.JoinHostPort("192.0.2.2", string(rune('1'+i)))})
		c.stateChanged(greedy[i], http.StateNew)
	}
	require.False(t, modest.closed)
	for i, g := range greedy {
		require.Equal(t, i < 3, g.closed, i)
	}
	another := &from{address: "192.0.2.3:1"}
	c.stateChanged(another, http.StateNew)
	require.False(t, another.closed)
	require.True(t, greedy[3].closed)
}

func TestDescriptorsAreReserved(t *testing.T) {
	most := maxDescriptors() - descriptorReserve
	c := newConnections(most+1000, metrics.New(prometheus.NewRegistry(), metrics.Config{}), slog.New(slog.DiscardHandler))
	require.Equal(t, most, c.limit)
	require.Equal(t, most-1, newConnections(most-1, metrics.New(prometheus.NewRegistry(), metrics.Config{}),
		slog.New(slog.DiscardHandler)).limit)
}
