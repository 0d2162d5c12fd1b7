package pgstore

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// firstBackoff is the maximum delay after one failure. Each further failure in a row doubles the maximum, up to
// maxBackoff.
const (
	firstBackoff = 50 * time.Millisecond
	maxBackoff   = 2 * time.Second
)

// backoff delays the next attempt after a failure. The delay grows with each failure in a row, and is random so that
// replicas do not all retry at the same moment. The zero value delays nothing. It is safe for concurrent use.
type backoff struct {
	mu       sync.Mutex
	failures int       // consecutive failures; guarded by mu
	until    time.Time // no attempt before this time; guarded by mu
}

// wait blocks until the delay after the last failure has passed, or until the channel done is closed. It does not
// report which of the two happened.
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

// ended records the result of an attempt: nil resets the backoff, an error starts the next delay. The delay is random:
// at least half of its maximum (see firstBackoff), and less than the maximum.
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

func (b *backoff) failureCount() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures
}

// gate lets one goroutine at a time connect to the database, and delays the next attempt after a failure. Meanwhile
// other goroutines that want to connect wait. If the attempt fails, all of them get its error; if it succeeds, one of
// them connects next. The zero value is ready to use.
type gate struct {
	backoff backoff
	mu      sync.Mutex
	now     *attempt // guarded by mu; nil if no goroutine is connecting
}

// attempt is a running attempt to connect to the database. A gate allows one at a time.
type attempt struct {
	ended chan struct{}
	err   error // valid after ended is closed
}

// enter blocks until the caller may connect to the database, and returns nil. The caller must then connect and pass the
// result to leave. enter returns an error if ctx ends, or if another goroutine's attempt fails while the caller waits.
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

// leave ends the attempt to connect that enter allowed. err is the result of the attempt: nil, or an error that all
// waiting goroutines get as well.
func (g *gate) leave(err error) {
	g.backoff.ended(err)
	g.end(err)
}

// end ends the current attempt with the result err, which all waiting goroutines get. It leaves the backoff unchanged.
func (g *gate) end(err error) {
	g.mu.Lock()
	made := g.now
	g.now = nil
	g.mu.Unlock()
	made.err = err
	close(made.ended)
}

// idle reports whether no goroutine is connecting to the database and the last attempt to connect succeeded.
func (g *gate) idle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now == nil && g.backoff.failureCount() == 0
}

// gateTracer is a pgx tracer for the connections of a pool. It marks the context of each attempt to connect, so that
// isConnecting recognizes it. If gate is set, it calls gate.leave after a failure; after a success newPool does.
type gateTracer struct{ *gate }

var _ pgx.ConnectTracer = gateTracer{}

type connectKey struct{}

// isConnecting reports whether pgx uses ctx to open a connection, not to run a statement.
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
