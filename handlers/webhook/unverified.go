package webhook

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// Maximum numbers of bodies that are arriving from callers not authenticated yet: of all clients, and of one client. An
// ordinary callback hardly counts, since its body arrives together with its headers.
const (
	maxUnverified       = 1024
	maxUnverifiedClient = 256
)

// unverified is the set of bodies that are arriving from callers not authenticated yet. If there are too many, or
// memory is short, the slowest body is dropped. Slow callers therefore cannot keep others out, even behind a proxy,
// where all callers look like one client.
type unverified struct {
	mu      sync.Mutex
	bodies  []*bodyReader  // guarded by mu, like all fields below
	clients map[client]int // number of bodies of each client
}

func newUnverified() *unverified { return &unverified{clients: make(map[client]int)} }

// errDropped is the logged cause for refusing a callback whose body was dropped while it was arriving.
var errDropped = errors.New("the body arrived more slowly than all others when there were too many bodies, " +
	"or too little memory for them; public.memory bounds it")

// enter adds body to the set. If there are too many bodies, it first drops the slowest one.
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

// leave removes a body, which is complete or has failed, from the set u of unverified bodies. It does nothing if u has
// already dropped the body to make room for others.
func (u *unverified) leave(body *bodyReader) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.remove(body)
}

// remove removes body if it is in the set. The caller holds mu.
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

// makeRoom drops the slowest bodies until size bytes of the memory budget are free for body. If body is in the set, it
// keeps the faster ones, so it may free less. share is the index of the semaphore in the budget that counts the bytes.
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

// slowest returns the body with the lowest speed at now for which match returns true, or nil if there is none. The
// caller holds mu.
func (u *unverified) slowest(now time.Time, match func(*bodyReader) bool) (slowest *bodyReader) {
	for _, body := range u.bodies {
		if match(body) && (slowest == nil || body.speed(now) < slowest.speed(now)) {
			slowest = body
		}
	}
	return slowest
}

// drop removes body from the set, and makes body.read fail with errDropped. The caller holds mu.
func (u *unverified) drop(body *bodyReader) {
	u.remove(body)
	body.drop()
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
