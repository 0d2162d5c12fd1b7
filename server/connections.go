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
	clients map[string]*list.List    // the *connection of each host, in the order in which they began to wait last
}

type connection struct {
	net.Conn
	host    string
	place   *list.Element // among those of its host
	serving bool          // a request, so it does not wait for one
}

// newConnections keeps within the descriptors that the process may have.
func newConnections(limit int, m *metrics.Metrics, log *slog.Logger) *connections {
	if most := max(descriptors()-descriptorReserve, descriptors()/2); limit > most {
		log.Warn("fewer connections than public.max_connections: the process may open too few files; raise its limit (LimitNOFILE)",
			slog.Int("connections", most), slog.Int("max_connections", limit))
		limit = most
	}
	m.ConnectionLimit(limit)
	return &connections{limit: limit, metrics: m, open: make(map[net.Conn]*connection), clients: make(map[string]*list.List)}
}

// watch takes note of what becomes of a connection. Each request changes its state twice, so that is cheap.
func (c *connections) watch(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.open[conn]
	switch {
	case state == http.StateNew:
		c.add(conn)
	case known == nil:
	case state == http.StateActive:
		known.serving = true
	case state == http.StateIdle:
		known.serving = false
		c.clients[known.host].MoveToBack(known.place)
	case state == http.StateClosed || state == http.StateHijacked:
		c.remove(known)
		c.metrics.Connections(len(c.open))
	}
}

// add needs mu, like all that follows.
func (c *connections) add(conn net.Conn) {
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
	added := &connection{Conn: conn, host: hostOf(conn)}
	if c.clients[added.host] == nil {
		c.clients[added.host] = list.New()
	}
	added.place = c.clients[added.host].PushBack(added)
	c.open[conn] = added
	c.metrics.Connections(len(c.open))
}

func (c *connections) remove(known *connection) {
	delete(c.open, known.Conn)
	of := c.clients[known.host]
	if of.Remove(known.place); of.Len() == 0 {
		delete(c.clients, known.host)
	}
}

// longestWaiting is nil if no connection waits for a request.
func (c *connections) longestWaiting() (longest *connection) {
	most := 0
	for _, of := range c.clients {
		if of.Len() <= most {
			continue
		}
		if waiting := firstWaiting(of); waiting != nil {
			longest, most = waiting, of.Len()
		}
	}
	return longest
}

func firstWaiting(of *list.List) *connection {
	for e := of.Front(); e != nil; e = e.Next() {
		if c := e.Value.(*connection); !c.serving {
			return c
		}
	}
	return nil
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
