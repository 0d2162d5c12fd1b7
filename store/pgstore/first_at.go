package pgstore

import (
	"sync"
	"time"
)

// firstAtClock makes the values of column first_at, which orders lists of batches. A value is the batch's FirstAt in
// whole milliseconds. If consecutive batches have the same FirstAt, each value is one microsecond above the last, so
// that lists show them in their order of arrival. It is safe for concurrent use.
type firstAtClock struct {
	mu   sync.Mutex
	last time.Time // the last value returned; guarded by mu
}

// next returns the value of column first_at for a new batch with this FirstAt, which must be in whole milliseconds.
func (c *firstAtClock) next(at time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if later := c.last.Add(time.Microsecond); at.Equal(later.Truncate(time.Millisecond)) {
		at = later
	}
	c.last = at
	return at
}
