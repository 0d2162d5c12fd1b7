package pgstore

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// The bounds of the delays of a backoff: the first delay is at most firstBackoff, and the maximum doubles with each
// consecutive failure, up to maxBackoff.
const (
	firstBackoff = 50 * time.Millisecond
	maxBackoff   = 2 * time.Second
)

// backoff delays attempts after failures: exponentially, and with jitter so that replicas do not retry in step. The
// zero value delays nothing. It is safe for concurrent use.
type backoff struct {
	mu       sync.Mutex
	failures int       // consecutive failures; guarded by mu
	until    time.Time // no attempt before this time; guarded by mu
}

// wait blocks until the delay after the last failure is over, or until done is closed. It does not tell the two
// apart.
func (b *backoff) wait(done <-chan struct{}) {
	b.mu.Lock()
	left := time.Until(b.until)
	b.mu.Unlock()
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

// ended records the result of an attempt. nil ends the backoff. An error starts a delay, which is random between half
// of its maximum and its maximum.
func (b *backoff) ended(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.failures, b.until = 0, time.Time{}
		return
	}
	most := maxBackoff
	if b.failures < 10 {
		most = min(firstBackoff<<b.failures, maxBackoff)
	}
	b.failures++
	b.until = time.Now().Add(most/2 + rand.N(most/2))
}

// failureCount returns the number of failures since the last success.
func (b *backoff) failureCount() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures
}

// gate lets one goroutine connect to the database at a time, with a backoff while connecting fails. The other
// goroutines wait for the result of that attempt: after a failure they all get its error, after a success the next
// goroutine connects. The zero value is ready to use.
type gate struct {
	backoff backoff
	mu      sync.Mutex
	now     *attempt // guarded by mu; nil if no goroutine is connecting
}

// attempt is the attempt to connect of the goroutine that a gate let in.
type attempt struct {
	ended chan struct{}
	err   error // valid after ended is closed
}

// enter blocks until the caller may connect and returns nil; the caller must pass the result of its attempt to leave.
// If another goroutine's attempt fails while the caller waits, enter returns the error of that attempt. If ctx ends,
// enter returns the error of ctx.
func (g *gate) enter(ctx context.Context) error {
	for {
		g.mu.Lock()
		other := g.now
		if other == nil {
			g.now = &attempt{ended: make(chan struct{})}
		}
		g.mu.Unlock()
		if other == nil {
			g.backoff.wait(ctx.Done())
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

// leave ends the caller's attempt to connect. err is the result of the attempt: nil for success, else the error that
// all waiting goroutines get.
func (g *gate) leave(err error) {
	g.backoff.ended(err)
	g.end(err)
}

// end ends the current attempt with err. Unlike leave, it does not change the backoff.
func (g *gate) end(err error) {
	g.mu.Lock()
	made := g.now
	g.now = nil
	g.mu.Unlock()
	made.err = err
	close(made.ended)
}

// idle reports whether no goroutine is connecting and the last attempt succeeded.
func (g *gate) idle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now == nil && g.backoff.failureCount() == 0
}

// gateTracer is the tracer of pgx for the connections of a pool. It marks the contexts in which pgx connects; see
// isConnecting. If it has a gate, it leaves the gate after a failed attempt; after a successful attempt newPool does
// so.
type gateTracer struct{ *gate }

var _ pgx.ConnectTracer = gateTracer{}

type connectKey struct{}

// isConnecting reports whether ctx is the context of an attempt to connect, rather than of a statement.
func isConnecting(ctx context.Context) bool { return ctx.Value(connectKey{}) != nil }

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
