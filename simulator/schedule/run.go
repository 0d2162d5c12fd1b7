package schedule

import (
	"context"
	"time"
)

// Run calls step at once, then each time after the wait that step returned, or sooner if Queue.Add adds earlier work.
// It blocks until ctx ends. step must lock the mutex that guards q, execute the due work and return the result of
// q.Wait.
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
