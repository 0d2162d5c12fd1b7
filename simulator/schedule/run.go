package schedule

import (
	"context"
	"time"
)

// Run calls step whenever work of q may be due, until ctx ends. step executes the due work under the lock that guards q
// and returns the result of q.Wait. Work that is added later wakes Run.
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
