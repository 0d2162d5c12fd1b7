package pgstore

import (
	"sync"
	"time"
)

// births tell batches apart that were first heard of in the same millisecond. Lists of batches go by them: column first_at
// is the row's FirstAt and, in its microseconds, how many were before it in that millisecond, as far as this process knows.
type births struct {
	mu   sync.Mutex
	last time.Time // guarded by mu
}

// next is the birth of a batch that was first heard of at a time.
func (b *births) next(at time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if later := b.last.Add(time.Microsecond); at.Equal(later.Truncate(time.Millisecond)) {
		at = later
	}
	b.last = at
	return at
}
