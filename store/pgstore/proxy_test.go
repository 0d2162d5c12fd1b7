package pgstore_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy is a TCP proxy between a store and its server that simulates network faults. It counts bytes over all
// connections.
type proxy struct {
	listener net.Listener
	network  string
	server   string

	mu       sync.Mutex
	open     map[net.Conn]bool // guarded by mu, as all fields below
	ended    bool
	accepted int
	passed   [2]int        // number of bytes, by direction
	left     [2]int        // bytes until all connections are cut, if armed
	armed    [2]bool       // by direction
	cuts     int           // number of cuts by cutAfter and loseAnswer
	closing  bool          // after the next cut by cutAfter, refuse new connections
	losing   bool          // cut all connections instead of passing the next answer to a COMMIT
	sender   net.Conn      // the client that has sent that COMMIT; nil before
	refusing bool          // close new connections at once
	frozen   chan struct{} // not nil while no bytes pass; closed to continue
	mute     mute
	hold     hold

	running sync.WaitGroup
}

// The directions.
const (
	toServer = iota
	toClient
)

// newProxy starts a proxy in front of the server of a URL, and returns the URL for clients.
func newProxy(t *testing.T, address string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	q := u.Query()
	p := &proxy{network: "tcp", server: u.Host, open: make(map[net.Conn]bool)}
	if dir := q.Get("host"); dir != "" {
		p.network, p.server = "unix", filepath.Join(dir, ".s.PGSQL."+q.Get("port"))
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

// pass copies one direction of a connection until it is cut.
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

// may returns how many of n bytes to pass, and whether to cut all connections after them.
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
	p.refusing, p.closing = p.refusing || p.closing, false
	p.cuts++
	return p.left[direction], true
}

// isCommit reports whether a client's bytes contain COMMIT: its text, or the name that pgx gives the prepared
// statement.
func isCommit(sent []byte) bool {
	name := sha256.Sum256([]byte("COMMIT"))
	return bytes.Contains(sent, []byte("commit\x00")) || bytes.Contains(sent, []byte("COMMIT\x00")) ||
		bytes.Contains(sent, []byte("stmtcache_"+hex.EncodeToString(name[:24])))
}

// loses reports whether the bytes are the answer that loseAnswer drops.
func (p *proxy) loses(direction int, passing []byte, to, from net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.losing:
		return false
	case direction == toServer && isCommit(passing):
		p.sender = from
		return false
	case direction == toClient && p.sender == to:
		p.losing, p.sender = false, nil
		p.cuts++
		return true
	}
	return false
}

// loseAnswer cuts all connections when the server answers the next COMMIT, and drops the answer.
func (p *proxy) loseAnswer() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.losing = true
}

// closeWithNextCut refuses new connections after the next cut by cutAfter.
func (p *proxy) closeWithNextCut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = true
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
}

// cutAfter cuts all connections after n more bytes in a direction.
func (p *proxy) cutAfter(direction, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed[direction], p.left[direction] = true, n
}

// refuse sets whether new connections are refused. If they are, it also cuts the open ones.
func (p *proxy) refuse(refusing bool) {
	p.mu.Lock()
	p.refusing = refusing
	p.mu.Unlock()
	if refusing {
		p.cut()
	}
}

// freeze holds all bytes back, like a server that hangs or a host that has vanished.
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

// connections returns the number of accepted connections.
func (p *proxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// timesCut returns the number of cuts by cutAfter and loseAnswer.
func (p *proxy) timesCut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// passedNow returns the number of bytes passed in each direction.
func (p *proxy) passedNow() [2]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passed
}

// measure returns the number of bytes that do sends in each direction. It takes the minimum of three runs, because
// other traffic is counted too.
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
