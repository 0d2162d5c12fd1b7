package webhook

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// Limits on the bodies that are arriving and whose signature is not verified yet: in total, and from one client. Above
// a limit, the slowest body is dropped, and its callback is answered 503 or 429.
const (
	maxUnverified       = 1024
	maxUnverifiedClient = 256
)

// unverified is the set of arriving bodies whose signature is not verified yet. If there are too many, or the memory
// for bodies is used up, the slowest one is dropped, and its callback is answered 503 or 429.
type unverified struct {
	mu      sync.Mutex
	bodies  []*bodyReader  // guarded by mu, like all fields below
	clients map[client]int // number of bodies of each client
}

func newUnverified() *unverified { return &unverified{clients: make(map[client]int)} }

// errDropped is logged as the cause if a callback is refused because its slow body had to make room for others.
var errDropped = errors.New("the body arrived more slowly than all others when there were too many bodies, " +
	"or too little memory for them; public.memory bounds it")

// enter adds a body that begins to arrive. If the client or all clients together have too many bodies, it first drops
// the slowest one of them.
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

// leave takes a body out of the set when it has arrived or failed. It does nothing if the body is not in the set.
func (u *unverified) leave(body *bodyReader) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.remove(body)
}

// remove takes a body out of the set. It does nothing if the body is not in the set. The caller holds mu.
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

// makeRoom drops the slowest bodies until size bytes of memory are free for the given body; if that is unverified too,
// only slower ones. The argument share is the part of the memory: 0 for small buffers, 1 for large ones.
func (u *unverified) makeRoom(body *bodyReader, share int, size int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for now := time.Now(); size > 0; {
		slowest := u.slowest(now, func(other *bodyReader) bool {
			return other.held[share].Load() > 0 && (body.place == 0 || other.speed(now) <= body.speed(now))
		})
		if slowest == nil || slowest == body {
			return
		}
		size -= slowest.held[share].Load()
		u.drop(slowest)
	}
}

// slowest returns the slowest body for which match returns true, or nil if there is none. The argument now is the
// current time. The caller holds mu.
func (u *unverified) slowest(now time.Time, match func(*bodyReader) bool) (slowest *bodyReader) {
	for _, body := range u.bodies {
		if match(body) && (slowest == nil || body.speed(now) < slowest.speed(now)) {
			slowest = body
		}
	}
	return slowest
}

// drop takes a body out of the set and aborts its reading, which fails with errDropped. The caller holds mu.
func (u *unverified) drop(body *bodyReader) {
	u.remove(body)
	body.drop()
}

// clientOf returns the client that sent a callback. If trusted proxies are configured, it uses X-Forwarded-For.
func (p *Webhook) clientOf(c *gin.Context) client {
	if !p.proxied {
		if address, err := netip.ParseAddrPort(c.Request.RemoteAddr); err == nil {
			return clientAt(address.Addr())
		}
	}
	return clientOf(c.ClientIP())
}
