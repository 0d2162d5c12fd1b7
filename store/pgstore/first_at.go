package pgstore

import (
	"sync"
	"time"
)

// firstAtClock makes the values of column first_at unique within this process. Lists of batches are ordered by
// first_at. Its milliseconds are the batch's FirstAt; its microseconds number the batches with the same millisecond.
type firstAtClock struct {
	mu   sync.Mutex
	last time.Time // the last value returned; guarded by mu
}

// next returns the first_at of a batch whose FirstAt is at, which must be in whole milliseconds.
func (c *firstAtClock) next(at time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if later := c.last.Add(time.Microsecond); at.Equal(later.Truncate(time.Millisecond)) {
		at = later
	}
	c.last = at
	return at
}
