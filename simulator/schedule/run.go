package schedule

import (
	"context"
	"time"
)

// Run calls step again and again until ctx ends. step returns how long to wait before the next call, but if Queue.Add
// adds work that is now the first to be due, Run calls step at once. step must lock the mutex that guards q, execute
// the due work and return the result of q.Wait.
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
