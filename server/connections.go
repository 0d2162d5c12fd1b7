package server

import (
	"container/list"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/dlrloop/dlrloop/metrics"
)

// descriptorReserve is how many file descriptors the public listener leaves to the rest: the store's files, the private listener with its
// health checks, and calls to Sinch.
const descriptorReserve = 256

// connections bounds the open connections of a listener. Its watch is the ConnState of the server. When there are too many, the client with
// the most connections loses the one that has waited for a request longest; if no connection waits for a request, the new one is closed.
type connections struct {
	limit   int
	metrics *metrics.Metrics

	mu      sync.Mutex
	open    map[net.Conn]*connection // guarded by mu, like all that follows
	clients map[string]*list.List    // connections that wait for a request, by the host they come from; the longest waiting first
	counts  map[string]int           // open connections by host
}

type connection struct {
	net.Conn
	host    string
	waiting *list.Element // nil while a request is served
}

// newConnections keeps within the descriptors that the process may have.
func newConnections(limit int, m *metrics.Metrics, log *slog.Logger) *connections {
	if most := max(descriptors()-descriptorReserve, descriptorReserve); limit > most {
		log.Warn("fewer connections than public.max_connections: the process may open too few files; raise its limit (LimitNOFILE)",
			slog.Int("connections", most), slog.Int("max_connections", limit))
		limit = most
	}
	m.ConnectionLimit(limit)
	return &connections{
		limit: limit, metrics: m, open: make(map[net.Conn]*connection),
		clients: make(map[string]*list.List), counts: make(map[string]int),
	}
}

// watch takes note of what becomes of a connection.
func (c *connections) watch(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.add(conn)
	case http.StateActive:
		if known := c.open[conn]; known != nil {
			c.stopWaiting(known)
		}
	case http.StateIdle:
		if known := c.open[conn]; known != nil {
			c.wait(known)
		}
	case http.StateClosed, http.StateHijacked:
		if known := c.open[conn]; known != nil {
			c.remove(known)
		}
	}
	c.metrics.Connections(len(c.open))
}

// add needs mu, like all that follows.
func (c *connections) add(conn net.Conn) {
	added := &connection{Conn: conn, host: hostOf(conn)}
	if len(c.open) >= c.limit {
		c.metrics.ConnectionDropped()
		victim := c.longestWaiting()
		if victim == nil {
			shut(conn)
			return
		}
		c.remove(victim)
		shut(victim.Conn)
	}
	c.open[conn] = added
	c.counts[added.host]++
	c.wait(added)
}

func (c *connections) wait(known *connection) {
	if c.clients[known.host] == nil {
		c.clients[known.host] = list.New()
	}
	c.stopWaiting(known)
	known.waiting = c.clients[known.host].PushBack(known)
}

func (c *connections) stopWaiting(known *connection) {
	if known.waiting != nil {
		c.clients[known.host].Remove(known.waiting)
		known.waiting = nil
	}
}

func (c *connections) remove(known *connection) {
	c.stopWaiting(known)
	delete(c.open, known.Conn)
	if c.counts[known.host]--; c.counts[known.host] == 0 {
		delete(c.counts, known.host)
		delete(c.clients, known.host)
	}
}

// longestWaiting is nil if no connection waits for a request.
func (c *connections) longestWaiting() *connection {
	var most string
	for host, waiting := range c.clients {
		if waiting.Len() > 0 && c.counts[host] > c.counts[most] {
			most = host
		}
	}
	if c.clients[most] == nil {
		return nil
	}
	return c.clients[most].Front().Value.(*connection)
}

func hostOf(conn net.Conn) string {
	host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
	if err != nil {
		return conn.RemoteAddr().String()
	}
	return host
}

// shut closes a connection without saying goodbye, which takes time in TLS.
func shut(conn net.Conn) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	_ = conn.Close()
}
