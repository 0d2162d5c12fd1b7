package webhook

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// Limits on the bodies that are arriving and not verified yet: of all clients, and of one client. The body of an
// ordinary callback arrives together with its head.
const (
	maxUnverified       = 1024
	maxUnverifiedClient = 256
)

// unverified holds the bodies that are arriving and whose callers are not authenticated yet. If there are too many, or
// memory is short, the slowest body is dropped. So slow bodies keep no others out, even behind a proxy, where all
// callers look like one client.
type unverified struct {
	mu      sync.Mutex
	bodies  []*bodyReader  // guarded by mu, like all fields below
	clients map[client]int // number of bodies of each client
}

func newUnverified() *unverified { return &unverified{clients: make(map[client]int)} }

// errDropped is the cause of a callback that was dropped while its body was arriving.
var errDropped = errors.New("the body arrived more slowly than all others when there were too many bodies, " +
	"or too little memory for them; public.memory bounds it")

// enter adds in. If there are too many bodies it first drops the slowest one.
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

// leave removes the body from the set of unverified bodies. Call it when the body is complete or has failed. It does
// nothing if the set has dropped the body already.
func (u *unverified) leave(in *bodyReader) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.remove(in)
}

// remove removes in from bodies. It does nothing if in is not there. The caller holds mu.
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

// makeRoom frees size bytes for in of the memory budget's semaphore with index share. It drops bodies that hold memory
// of this semaphore, slowest first. It drops no body that is faster than in, so it may free less.
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

// slowest returns the body with the lowest speed at now among those for which of returns true, or nil if there is
// none. The caller holds mu.
func (u *unverified) slowest(now time.Time, of func(*bodyReader) bool) (slowest *bodyReader) {
	for _, in := range u.bodies {
		if of(in) && (slowest == nil || in.speed(now) < slowest.speed(now)) {
			slowest = in
		}
	}
	return slowest
}

// drop removes a body and makes its reader return errDropped. The caller holds mu.
func (u *unverified) drop(in *bodyReader) {
	u.remove(in)
	in.drop()
}

// clientOf returns the client of a callback. If trusted proxies are configured it evaluates X-Forwarded-For.
func (p *Webhook) clientOf(c *gin.Context) client {
	if !p.proxied {
		if address, err := netip.ParseAddrPort(c.Request.RemoteAddr); err == nil {
			return clientAt(address.Addr())
		}
	}
	return clientOf(c.ClientIP())
}
