package handlers

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Bounds of turns.
const (
	maxWaiting       = 128 // callers that wait for a turn
	maxWaitingClient = 32  // of one client
	maxProven        = 256 // clients remembered as proven
)

// turns bounds how many callers do something costly at the same time. Clients take turns, whatever number of connections each
// has, and clients that have proven genuine come first. newTurns makes it.
type turns struct {
	mu      sync.Mutex
	free    int                        // guarded by mu, like all that follows
	clients map[client][]chan struct{} // callers that wait, the next one first
	order   []client                   // clients that have waiting callers, the next one first
	waiting int                        // callers in all
	proven  map[client]struct{}
}

// client is the network address that a request comes from; of IPv6 the /64 network, which one machine usually has for itself.
type client = netip.Prefix

// clientOf reads an address as gin's ClientIP returns it. Addresses that cannot be read are one client.
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

func newTurns(atOnce int) *turns {
	return &turns{free: atOnce, clients: make(map[client][]chan struct{}), proven: make(map[client]struct{})}
}

// errNoTurn means that too many callers wait for a turn, or that the turn did not come in time.
var errNoTurn = errors.New("too many compressed bodies wait to be verified")

// take waits for a turn, at most for patience. The caller gives it back with end.
func (t *turns) take(c client, patience time.Duration) error {
	turn, err := t.queue(c)
	if turn == nil {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-turn:
		return nil
	case <-timer.C:
		return t.leave(c, turn)
	}
}

// queue returns nil for a turn that is free now, else what is closed when the turn comes.
func (t *turns) queue(c client) (chan struct{}, error) {
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
		t.lineUp(c)
	}
	t.clients[c] = append(t.clients[c], turn)
	t.waiting++
	return turn, nil
}

// lineUp needs mu.
func (t *turns) lineUp(c client) {
	if _, proven := t.proven[c]; proven {
		t.order = slices.Insert(t.order, 0, c)
		return
	}
	t.order = append(t.order, c)
}

// leave gives up waiting, unless the turn has just come.
func (t *turns) leave(c client, turn chan struct{}) error {
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

// end gives a turn to the next caller.
func (t *turns) end() {
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
	t.lineUp(c)
}

// prove remembers that a client is genuine.
func (t *turns) prove(c client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, proven := t.proven[c]; !proven && len(t.proven) >= maxProven {
		for any := range t.proven {
			delete(t.proven, any)
			break
		}
	}
	t.proven[c] = struct{}{}
}
