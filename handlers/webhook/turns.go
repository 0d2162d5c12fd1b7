package webhook

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// The limits of type turns, the queue for decompressing bodies. When maxWaiting or maxWaitingClient is reached, further
// callers get errNoTurn at once. When maxTrusted is reached, each new trusted client replaces another, which is then no
// longer trusted.
const (
	maxWaiting       = 128 // callers that wait for a turn
	maxWaitingClient = 32  // waiting callers of one client
	maxTrusted       = 256 // clients in turns.trusted
)

// turns is a queue that limits how many callers decompress a body at the same time. A turn is the permission to do so.
// Clients get turns in rotation; trusted ones, which have sent a valid signature, come first. It is safe for concurrent
// use.
type turns struct {
	mu      sync.Mutex
	free    int                        // turns; guarded by mu, like all fields below
	clients map[client][]chan struct{} // waiting callers, in the order of arrival
	order   []client                   // clients with waiting callers, in the order of their turns
	waiting int                        // number of waiting callers
	trusted map[client]struct{}
}

// client identifies a sender of callbacks by its network address, so that each sender can be limited separately. It is
// one address for IPv4, and the /64 network for IPv6, which usually belongs to one machine.
type client = netip.Prefix

// clientOf returns the client with the given IP address. All invalid addresses count as one client, the zero value.
func clientOf(ip string) client {
	address, err := netip.ParseAddr(ip)
	if err != nil {
		return client{}
	}
	return clientAt(address)
}

func clientAt(address netip.Addr) client {
	address = address.Unmap().WithZone("")
	bits := min(64, address.BitLen())
	c, _ := address.Prefix(bits)
	return c
}

// newTurns returns a queue that lets at most atOnce callers decompress a body at the same time.
func newTurns(atOnce int) *turns {
	return &turns{free: atOnce, clients: make(map[client][]chan struct{}), trusted: make(map[client]struct{})}
}

// errNoTurn means that a compressed body was not verified, because the queue for decompressing bodies was full, or the
// body waited in it for too long.
var errNoTurn = errors.New("too many compressed bodies wait to be verified")

// acquire blocks until a caller from client c may decompress a body, and returns nil; the caller must then call
// release. It returns errNoTurn after it has waited for the duration patience, or at once if the queue is full.
func (t *turns) acquire(c client, patience time.Duration) error {
	turn, err := t.acquireOrEnqueue(c)
	if turn == nil {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-turn:
		return nil
	case <-timer.C:
		return t.cancel(c, turn)
	}
}

// acquireOrEnqueue takes the permission to decompress if one is free, and returns a nil channel and no error. Otherwise
// it returns a channel that is closed when it is the caller's turn, or errNoTurn if too many callers wait.
func (t *turns) acquireOrEnqueue(c client) (chan struct{}, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free > 0 {
		t.free--
		return nil, nil
	}
	if t.waiting >= maxWaiting || len(t.clients[c]) >= maxWaitingClient {
		return nil, errNoTurn
	}
	turn := make(chan struct{})
	if len(t.clients[c]) == 0 {
		t.enqueueClient(c)
	}
	t.clients[c] = append(t.clients[c], turn)
	t.waiting++
	return turn, nil
}

// enqueueClient adds client c to the list of clients whose bodies wait to be decompressed: at the front if c is
// trusted, otherwise at the end. The caller must hold t.mu.
func (t *turns) enqueueClient(c client) {
	if _, trusted := t.trusted[c]; trusted {
		t.order = slices.Insert(t.order, 0, c)
		return
	}
	t.order = append(t.order, c)
}

// cancel removes a waiting caller of client c from the queue and returns errNoTurn. turn is the channel that the caller
// got from acquireOrEnqueue. If it is closed already, cancel returns nil: the caller may decompress, and must call
// release.
func (t *turns) cancel(c client, turn chan struct{}) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.clients[c], turn)
	if i < 0 {
		return nil
	}
	t.clients[c] = slices.Delete(t.clients[c], i, i+1)
	t.waiting--
	if len(t.clients[c]) == 0 {
		delete(t.clients, c)
		t.order = slices.DeleteFunc(t.order, func(other client) bool { return other == c })
	}
	return errNoTurn
}

// release gives the caller's permission to decompress to the next waiting caller, or frees it if none waits. Call it
// once for each successful acquire.
func (t *turns) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.order) == 0 {
		t.free++
		return
	}
	c := t.order[0]
	t.order = t.order[1:]
	close(t.clients[c][0])
	t.clients[c] = t.clients[c][1:]
	t.waiting--
	if len(t.clients[c]) == 0 {
		delete(t.clients, c)
		return
	}
	t.enqueueClient(c)
}

// markTrusted remembers that client c has sent a valid signature, so that c comes first from now on. If 256 clients
// (maxTrusted) are remembered already, an arbitrary one is forgotten.
func (t *turns) markTrusted(c client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, trusted := t.trusted[c]; !trusted && len(t.trusted) >= maxTrusted {
		for any := range t.trusted {
			delete(t.trusted, any)
			break
		}
	}
	t.trusted[c] = struct{}{}
}
