package pgstore_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy stands between a store and its server, and is the network on its bad days. Bytes are counted over all connections.
type proxy struct {
	listener net.Listener
	network  string
	server   string

	mu       sync.Mutex
	open     map[net.Conn]bool // guarded by mu, as all below
	ended    bool
	accepted int
	passed   [2]int        // bytes, by direction
	left     [2]int        // bytes that may pass before all is cut, when armed
	armed    [2]bool       // by direction
	cuts     int           // how often that was done
	losing   bool          // all is cut when the server has answered a COMMIT, without the answer
	closing  bool          // when that is done, new connections are refused
	awaited  net.Conn      // the client that it is the answer for; not nil once COMMIT was sent
	refusing bool          // new connections are closed at once
	frozen   chan struct{} // not nil while nothing passes; closed to go on
	mute     mute
	hold     hold

	running sync.WaitGroup
}

// Directions.
const (
	toServer = iota
	toClient
)

// newProxy stands before the server of a URL, and returns the URL for its clients.
func newProxy(t *testing.T, address string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	q := u.Query()
	p := &proxy{network: "tcp", server: u.Host, open: make(map[net.Conn]bool)}
	if folder := q.Get("host"); folder != "" {
		p.network, p.server = "unix", filepath.Join(folder, ".s.PGSQL."+q.Get("port"))
	}
	p.listener, err = net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	here := p.listener.Addr().(*net.TCPAddr)
	u.Host = ""
	q.Set("host", here.IP.String())
	q.Set("port", strconv.Itoa(here.Port))
	u.RawQuery = q.Encode()
	p.running.Go(p.accept)
	t.Cleanup(func() {
		require.NoError(t, p.listener.Close())
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		p.thaw()
		p.cut()
		p.running.Wait()
	})
	return p, u.String()
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.accepted++
		refusing := p.refusing
		p.mu.Unlock()
		if refusing {
			_ = client.Close()
			continue
		}
		server, err := net.Dial(p.network, p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.open[client], p.open[server] = true, true
		ended := p.ended
		p.mu.Unlock()
		p.running.Go(func() { p.pass(toServer, server, client) })
		p.running.Go(func() { p.pass(toClient, client, server) })
		if ended {
			p.cut()
		}
	}
}

// pass copies one direction of a connection, until it is cut.
func (p *proxy) pass(direction int, to, from net.Conn) {
	defer func() {
		_, _ = to.Close(), from.Close()
		p.mu.Lock()
		delete(p.open, to)
		delete(p.open, from)
		p.mu.Unlock()
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if p.loses(direction, buffer[:n], to, from) {
			p.cut()
			return
		}
		if direction == toServer && p.muted(from, buffer[:n]) {
			n = 0
		}
		n, cut := p.may(direction, n)
		if _, failed := to.Write(buffer[:n]); errors.Join(err, failed) != nil {
			return
		}
		if cut {
			p.cut()
			return
		}
	}
}

// may is how many of n bytes may pass, and whether all is cut after them.
func (p *proxy) may(direction, n int) (int, bool) {
	p.mu.Lock()
	for p.frozen != nil {
		frozen := p.frozen
		p.mu.Unlock()
		<-frozen
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	p.passed[direction] += n
	if !p.armed[direction] {
		return n, false
	}
	if n < p.left[direction] {
		p.left[direction] -= n
		return n, false
	}
	p.armed[direction] = false
	p.refusing, p.closing = p.refusing || p.closing && !p.losing, p.closing && p.losing
	p.cuts++
	return p.left[direction], true
}

// commits are what a message that commits has in it: the text, or the name that pgx gives the prepared statement.
func commits() [][]byte {
	name := sha256.Sum256([]byte("COMMIT"))
	return [][]byte{[]byte("commit\x00"), []byte("COMMIT\x00"), []byte("stmtcache_" + hex.EncodeToString(name[:24]))}
}

// loses reports whether the bytes are the answer that loseAnswer is to lose.
func (p *proxy) loses(direction int, passing []byte, to, from net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.losing:
		return false
	case direction == toServer && slices.ContainsFunc(commits(), func(c []byte) bool { return bytes.Contains(passing, c) }):
		p.awaited = from
		return false
	case direction == toClient && p.awaited == to:
		p.losing, p.awaited = false, nil
		p.refusing = p.refusing || p.closing
		p.cuts++
		return true
	}
	return false
}

// loseAnswer cuts all connections when the next COMMIT is answered.
func (p *proxy) loseAnswer() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.losing, p.closing = true, false
}

// loseAnswerAndClose does so, and refuses new connections from then on.
func (p *proxy) loseAnswerAndClose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.losing, p.closing = true, true
}

// closeWithNextCut has new connections be refused from the next cut on.
func (p *proxy) closeWithNextCut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = true
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
}

// cutAfter cuts all connections when n more bytes have passed in a direction.
func (p *proxy) cutAfter(direction, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed[direction], p.left[direction] = true, n
}

// refuse closes what is open, and, from now on, new connections at once; or no longer.
func (p *proxy) refuse(refusing bool) {
	p.mu.Lock()
	p.refusing = refusing
	p.mu.Unlock()
	if refusing {
		p.cut()
	}
}

// freeze holds all bytes back, as a server does that hangs or a host that vanished.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = make(chan struct{})
}

func (p *proxy) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
}

// connections is how many were asked for.
func (p *proxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// timesCut is how often cutAfter and loseAnswer have cut.
func (p *proxy) timesCut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// passedNow is how many bytes have passed in each direction.
func (p *proxy) passedNow() [2]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passed
}

// measure returns how many bytes pass in each direction while something is done. What else passes meanwhile counts too: it is
// done thrice, and the least counts.
func (p *proxy) measure(do func()) (least [2]int) {
	for i := range 3 {
		before := p.passedNow()
		do()
		after := p.passedNow()
		for d := range least {
			if passed := after[d] - before[d]; i == 0 || passed < least[d] {
				least[d] = passed
			}
		}
	}
	return least
}
