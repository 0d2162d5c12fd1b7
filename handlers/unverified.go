package handlers

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

// Bounds of the bodies that arrive while their callers are not verified. A body of an ordinary callback arrives with its head.
const (
	maxUnverified       = 1024
	maxUnverifiedClient = 256
)

// unverified are the bodies that arrive while their callers are not verified. When there are too many, or memory is short, the
// slowest is dropped. So behind a proxy, where all callers are one client, slow bodies keep no other out.
type unverified struct {
	mu      sync.Mutex
	bodies  []*bodyReader  // guarded by mu, like all that follows
	clients map[client]int // how many bodies each has
}

func newUnverified() *unverified { return &unverified{clients: make(map[client]int)} }

// errDropped is the cause of a callback that was dropped on its way.
var errDropped = errors.New("the body arrived slower than all others when there were too many, or too little memory for them; " +
	"public.memory bounds it")

// enter adds a body, and drops the slowest if there are too many.
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

// leave removes a body that is there whole, or given up.
func (u *unverified) leave(in *bodyReader) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.remove(in)
}

// remove needs mu.
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

// makeRoom drops the slowest bodies that hold memory of a share, until they held size bytes. Those that are faster than in stay.
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

// slowest needs mu. It is nil if no body is one of those asked for.
func (u *unverified) slowest(now time.Time, of func(*bodyReader) bool) (slowest *bodyReader) {
	for _, in := range u.bodies {
		if of(in) && (slowest == nil || in.speed(now) < slowest.speed(now)) {
			slowest = in
		}
	}
	return slowest
}

// drop needs mu.
func (u *unverified) drop(in *bodyReader) {
	u.remove(in)
	in.drop()
}

// clientOf is the client that a callback comes from, by its X-Forwarded-For where the proxy is trusted.
func (p *Public) clientOf(c *gin.Context) client {
	if !p.proxied {
		if address, err := netip.ParseAddrPort(c.Request.RemoteAddr); err == nil {
			return clientAt(address.Addr())
		}
	}
	return clientOf(c.ClientIP())
}
