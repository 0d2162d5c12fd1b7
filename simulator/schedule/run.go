package schedule

import (
	"context"
	"time"
)

// Run calls step until ctx ends: at once, then after each wait that step returns, or sooner if Add adds earlier work.
// step must hold the lock that guards q, execute the due work and return the result of q.Wait.
func Run[T any](ctx context.Context, q *Queue[T], step func(now time.Time) (wait time.Duration)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		timer.Reset(step(time.Now()))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-q.wake:
		}
	}
}
