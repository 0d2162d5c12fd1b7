package webhook

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// The limits on the number of bodies that are arriving with a signature that is not verified yet: in total, and from
// one client. Above a limit, the slowest body is dropped, and its callback is answered 503 or 429.
const (
	maxUnverified       = 1024
	maxUnverifiedClient = 256
)

// unverified is the set of bodies that are being received and whose signatures are not verified yet. If they are too
// many or need too much memory, the body that arrives most slowly is dropped. Its request is answered 503, or 429 if
// so configured. unverified is safe for concurrent use.
type unverified struct {
	mu      sync.Mutex
	bodies  []*bodyReader  // guarded by mu, like all fields below
	clients map[client]int // number of bodies of each client
}

func newUnverified() *unverified { return &unverified{clients: make(map[client]int)} }

// errDropped is the logged cause of a problem: a callback was refused because its body arrived slowly and had to make
// room for others.
var errDropped = errors.New("the body arrived more slowly than all others when there were too many bodies, " +
	"or too little memory for them; public.memory bounds it")

// enter adds a body that begins to arrive. If u holds maxUnverifiedClient bodies of the same client, it first drops the
// slowest of that client. Otherwise, if u holds maxUnverified bodies, it first drops the slowest of all.
func (u *unverified) enter(body *bodyReader) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch now := time.Now(); {
	case u.clients[body.client] >= maxUnverifiedClient:
		u.drop(u.slowest(now, func(other *bodyReader) bool { return other.client == body.client }))
	case len(u.bodies) >= maxUnverified:
		u.drop(u.slowest(now, func(*bodyReader) bool { return true }))
	}
	u.bodies = append(u.bodies, body)
	body.place = len(u.bodies)
	u.clients[body.client]++
}

// leave removes a body that has arrived or failed. It does nothing if u does not hold the body. Unlike remove, it locks
// u.mu.
func (u *unverified) leave(body *bodyReader) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.remove(body)
}

// remove removes a body from the set. It does nothing if the body is not in the set. The caller must hold u.mu.
func (u *unverified) remove(body *bodyReader) {
	if body.place == 0 {
		return
	}
	last := u.bodies[len(u.bodies)-1]
	u.bodies[body.place-1], last.place = last, body.place
	u.bodies[len(u.bodies)-1] = nil
	u.bodies = u.bodies[:len(u.bodies)-1]
	body.place = 0
	if u.clients[body.client]--; u.clients[body.client] == 0 {
		delete(u.clients, body.client)
	}
}

// makeRoom drops the slowest bodies in u to free memory for body in budget.parts[part] (0 for small buffers, 1 for
// large ones). It ends when the dropped bodies together held at least size bytes of this memory, or when no other body
// may be dropped. It does not wait until the memory is free. If u contains body, faster bodies are kept.
func (u *unverified) makeRoom(body *bodyReader, part int, size int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for now := time.Now(); size > 0; {
		slowest := u.slowest(now, func(other *bodyReader) bool {
			return other.held[part].Load() > 0 && (body.place == 0 || other.speed(now) <= body.speed(now))
		})
		if slowest == nil || slowest == body {
			return
		}
		size -= slowest.held[part].Load()
		u.drop(slowest)
	}
}

// slowest returns the body in u that arrives most slowly, of those for which match returns true. It returns nil if
// there is none. The speeds are averages until the given time, now. The caller must hold u.mu.
func (u *unverified) slowest(now time.Time, match func(*bodyReader) bool) (slowest *bodyReader) {
	for _, body := range u.bodies {
		if match(body) && (slowest == nil || body.speed(now) < slowest.speed(now)) {
			slowest = body
		}
	}
	return slowest
}

// drop removes a body from the set and aborts its reading, which fails with errDropped. The caller must hold u.mu.
func (u *unverified) drop(body *bodyReader) {
	u.remove(body)
	body.drop()
}

// clientOf returns the network address of the client that sent a callback. If trusted proxies are configured, it is
// taken from the header X-Forwarded-For that they set.
func (p *Webhook) clientOf(c *gin.Context) client {
	if !p.proxied {
		if address, err := netip.ParseAddrPort(c.Request.RemoteAddr); err == nil {
			return clientAt(address.Addr())
		}
	}
	return clientOf(c.ClientIP())
}
