package pgstore

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// The pace of what fails: the first pause is up to paceFirst, each after it up to twice as long, none more than paceMost.
const (
	paceFirst = 50 * time.Millisecond
	paceMost  = 2 * time.Second
)

// pace spaces out attempts at what fails, so that many replicas neither hurry nor march in step. It is safe for use by any number
// of goroutines.
type pace struct {
	mu       sync.Mutex
	failures int       // in a row; guarded by mu
	until    time.Time // no attempt before; guarded by mu
}

// wait returns when an attempt may be made, or early when done is closed.
func (p *pace) wait(done <-chan struct{}) {
	p.mu.Lock()
	left := time.Until(p.until)
	p.mu.Unlock()
	if left <= 0 {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-done:
	}
}

// ended tells how an attempt ended. The pause after a failure is between the half and the whole of what its number allows.
func (p *pace) ended(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		p.failures, p.until = 0, time.Time{}
		return
	}
	most := paceMost
	if p.failures < 10 {
		most = min(paceFirst<<p.failures, paceMost)
	}
	p.failures++
	p.until = time.Now().Add(most/2 + rand.N(most/2))
}

// at is how many attempts in a row have failed.
func (p *pace) at() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failures
}

// gate lets one connection be made at a time, at a pace while that fails. Who finds one being made waits for how that ends: a
// failure is everybody's, after a success the next one goes.
type gate struct {
	pace pace
	mu   sync.Mutex
	now  *attempt // guarded by mu; nil when none is made
}

type attempt struct {
	ended chan struct{}
	err   error // once ended
}

// enter returns nil when the caller is to connect and then to call leave.
func (g *gate) enter(ctx context.Context) error {
	for {
		g.mu.Lock()
		other := g.now
		if other == nil {
			g.now = &attempt{ended: make(chan struct{})}
		}
		g.mu.Unlock()
		if other == nil {
			g.pace.wait(ctx.Done())
			if err := ctx.Err(); err != nil {
				g.end(err)
				return err
			}
			return nil
		}
		select {
		case <-other.ended:
			if other.err != nil {
				return other.err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// leave tells how connecting ended.
func (g *gate) leave(err error) {
	g.pace.ended(err)
	g.end(err)
}

func (g *gate) end(err error) {
	g.mu.Lock()
	made := g.now
	g.now = nil
	g.mu.Unlock()
	made.err = err
	close(made.ended)
}

// idle reports whether no connection is being made, and none failed to be made last.
func (g *gate) idle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now == nil && g.pace.at() == 0
}

// gateTracer marks the contexts of making connections, and leaves the gate, if it has one, when one could not be made.
type gateTracer struct{ *gate }

var _ pgx.ConnectTracer = gateTracer{}

type connectKey struct{}

// connects reports whether a context is that of making a connection.
func connects(ctx context.Context) bool { return ctx.Value(connectKey{}) != nil }

func (gateTracer) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	return context.WithValue(ctx, connectKey{}, true)
}

func (t gateTracer) TraceConnectEnd(_ context.Context, made pgx.TraceConnectEndData) {
	if made.Err != nil && t.gate != nil {
		t.leave(made.Err)
	}
}

func (gateTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (gateTracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
