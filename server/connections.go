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

// descriptorReserve is the number of file descriptors that the public listener leaves for other uses: the store's
// files, the private listener with its health checks, and calls to Sinch.
const descriptorReserve = 256

// connections limits the number of open connections of a listener. At the limit, a new connection replaces an idle one
// (longestIdle says which); if none is idle, the new one is closed. Set stateChanged as ConnState of the http.Server.
type connections struct {
	limit   int
	metrics *metrics.Metrics

	mu      sync.Mutex
	open    map[net.Conn]*connection // guarded by mu, like all that follows
	clients map[string]*list.List    // the *connection values of each host, the longest idle first
}

// connection is an open connection of a client, and its place in the list of all connections of this client.
type connection struct {
	net.Conn
	host    string
	place   *list.Element // in the list of its host
	serving bool          // a request is being served, so the connection is not idle
}

// newConnections returns a limiter with the given limit. If the process may not open that many files and
// descriptorReserve more, newConnections logs a warning and uses a lower limit: all files but descriptorReserve, or
// half of all files if that is more.
func newConnections(limit int, m *metrics.Metrics, log *slog.Logger) *connections {
	if most := max(maxDescriptors()-descriptorReserve, maxDescriptors()/2); limit > most {
		log.Warn("public.max_connections reduced: the process may open too few files; raise its limit (LimitNOFILE)",
			slog.Int("connections", most), slog.Int("max_connections", limit))
		limit = most
	}
	m.ConnectionLimit(limit)
	return &connections{
		limit: limit, metrics: m, open: make(map[net.Conn]*connection),
		clients: make(map[string]*list.List),
	}
}

// stateChanged records the new state of a connection, and closes a connection if a new one exceeds the limit. net/http
// calls it at least twice per request, so it must be fast.
func (c *connections) stateChanged(conn net.Conn, state http.ConnState) {
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

// add records a new connection. At the limit it closes the connection that longestIdle returns or, if no connection is
// idle, the new one. The caller must hold c.mu.
func (c *connections) add(conn net.Conn) {
	if len(c.open) >= c.limit {
		c.metrics.ConnectionDropped()
		victim := c.longestIdle()
		if victim == nil {
			closeNow(conn)
			return
		}
		c.remove(victim)
		closeNow(victim.Conn)
	}
	added := &connection{Conn: conn, host: hostOf(conn)}
	if c.clients[added.host] == nil {
		c.clients[added.host] = list.New()
	}
	added.place = c.clients[added.host].PushBack(added)
	c.open[conn] = added
	c.metrics.Connections(len(c.open))
}

// remove stops counting a connection, but does not close it. The caller must hold c.mu.
func (c *connections) remove(known *connection) {
	delete(c.open, known.Conn)
	of := c.clients[known.host]
	if of.Remove(known.place); of.Len() == 0 {
		delete(c.clients, known.host)
	}
}

// longestIdle returns the connection to close at the limit, or nil if no connection is idle. Of all clients with an
// idle connection, it chooses the client with the most connections, and then the longest idle connection of this
// client. The caller must hold c.mu.
func (c *connections) longestIdle() (longest *connection) {
	most := 0
	for _, of := range c.clients {
		if of.Len() <= most {
			continue
		}
		if idle := firstIdle(of); idle != nil {
			longest, most = idle, of.Len()
		}
	}
	return longest
}

func firstIdle(of *list.List) *connection {
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

// closeNow closes a connection at once. For TLS it closes the TCP connection under it, because a TLS close message
// could block.
func closeNow(conn net.Conn) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	_ = conn.Close()
}
