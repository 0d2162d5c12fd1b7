package webhook

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// Maximum numbers of bodies that are arriving from callers not authenticated yet: in all, and from one client. An
// ordinary callback hardly counts, since its body arrives together with its head.
const (
	maxUnverified       = 1024
	maxUnverifiedClient = 256
)

// unverified is the set of bodies that are arriving from callers not authenticated yet. If there are too many, or
// memory is short, the slowest body is dropped. So slow bodies keep no others out, even behind a proxy, where all
// callers look like one client.
type unverified struct {
	mu      sync.Mutex
	bodies  []*bodyReader  // guarded by mu, like all fields below
	clients map[client]int // number of bodies of each client
}

func newUnverified() *unverified { return &unverified{clients: make(map[client]int)} }

// errDropped is the logged cause for refusing a callback whose body was dropped while it was arriving.
var errDropped = errors.New("the body arrived more slowly than all others when there were too many bodies, " +
	"or too little memory for them; public.memory bounds it")

// enter adds the body that in reads. If there are too many bodies, it first drops the slowest one.
func (u *unverified) enter(in *bodyReader) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch now := time.Now(); {
	case u.clients[in.client] >= maxUnverifiedClient:
		u.drop(u.slowest(now, func(other *bodyReader) bool { return other.client == in.client }))
	case len(u.bodies) >= maxUnverified:
		u.drop(u.slowest(now, func(*bodyReader) bool { return true }))
	}
	u.bodies = append(u.bodies, in)
	in.place = len(u.bodies)
	u.clients[in.client]++
}

// leave removes the body that in reads. Call it when the body is complete or has failed. It does nothing if the body
// has been dropped.
func (u *unverified) leave(in *bodyReader) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.remove(in)
}

// remove removes the body that in reads, if it is in the set. The caller holds mu.
func (u *unverified) remove(in *bodyReader) {
	if in.place == 0 {
		return
	}
	last := u.bodies[len(u.bodies)-1]
	u.bodies[in.place-1], last.place = last, in.place
	u.bodies[len(u.bodies)-1] = nil
	u.bodies = u.bodies[:len(u.bodies)-1]
	in.place = 0
	if u.clients[in.client]--; u.clients[in.client] == 0 {
		delete(u.clients, in.client)
	}
}

// makeRoom drops bodies, slowest first, until size bytes are free for the body that in reads. share is the index of the
// memory budget's semaphore whose bytes are needed. Bodies that are faster than in are kept, so makeRoom may free less.
func (u *unverified) makeRoom(in *bodyReader, share int, size int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for now := time.Now(); size > 0; {
		slowest := u.slowest(now, func(other *bodyReader) bool {
			return other.held[share].Load() > 0 && (in.place == 0 || other.speed(now) <= in.speed(now))
		})
		if slowest == nil || slowest == in {
			return
		}
		size -= slowest.held[share].Load()
		u.drop(slowest)
	}
}

// slowest returns the body with the lowest speed at now for which match returns true, or nil if there is none. The
// caller holds mu.
func (u *unverified) slowest(now time.Time, match func(*bodyReader) bool) (slowest *bodyReader) {
	for _, in := range u.bodies {
		if match(in) && (slowest == nil || in.speed(now) < slowest.speed(now)) {
			slowest = in
		}
	}
	return slowest
}

// drop removes the body that in reads, and makes its reader return errDropped. The caller holds mu.
func (u *unverified) drop(in *bodyReader) {
	u.remove(in)
	in.drop()
}

// clientOf returns the client that sent a callback: behind a trusted proxy the one that X-Forwarded-For names.
func (p *Webhook) clientOf(c *gin.Context) client {
	if !p.proxied {
		if address, err := netip.ParseAddrPort(c.Request.RemoteAddr); err == nil {
			return clientAt(address.Addr())
		}
	}
	return clientOf(c.ClientIP())
}
