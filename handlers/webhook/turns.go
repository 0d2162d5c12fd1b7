package webhook

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Limits of the semaphore type turns, which bound its memory and how long its callers wait.
const (
	maxWaiting       = 128 // callers that wait for a turn
	maxWaitingClient = 32  // waiting callers of one client
	maxProven        = 256 // clients in turns.proven
)

// turns is a semaphore that is fair between clients: waiting clients take turns, however many waiting callers each
// client has. Clients that have sent a valid signature (proven) come first. Create it with newTurns.
type turns struct {
	mu      sync.Mutex
	free    int                        // turns; guarded by mu, like all fields below
	clients map[client][]chan struct{} // waiting callers, in the order of arrival
	order   []client                   // clients with waiting callers, in the order of their turns
	waiting int                        // number of waiting callers
	proven  map[client]struct{}
}

// client is the network address of a caller. For IPv6 it is the /64 network, since one machine usually owns all of it.
type client = netip.Prefix

// clientOf returns the client for ip, the text that gin's ClientIP returned. All invalid addresses count as one client.
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

// newTurns returns a semaphore that lets at most atOnce callers work at the same time.
func newTurns(atOnce int) *turns {
	return &turns{free: atOnce, clients: make(map[client][]chan struct{}), proven: make(map[client]struct{})}
}

// errNoTurn means that too many callers wait for a turn to decompress, or that no turn came in time.
var errNoTurn = errors.New("too many compressed bodies wait to be verified")

// take blocks until a caller from client c gets a turn; the caller must then call end. It returns errNoTurn after
// patience, or at once if too many callers wait.
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

// queue takes a free turn and returns a nil channel. If no turn is free, it adds the caller to those of client c and
// returns a channel that is closed when the caller's turn comes. If too many callers wait, it returns errNoTurn.
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

// lineUp adds client c to the order in which clients get turns: in front if it has sent a valid signature, else at the
// end. The caller holds mu.
func (t *turns) lineUp(c client) {
	if _, proven := t.proven[c]; proven {
		t.order = slices.Insert(t.order, 0, c)
		return
	}
	t.order = append(t.order, c)
}

// leave removes a caller that gave up waiting, and returns errNoTurn. If its turn has come already, leave returns nil.
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

// end gives the caller's turn to the next waiting caller, or makes it free.
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

// prove records that client c has sent a valid signature. If maxProven clients are recorded, c replaces one of them.
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
