package pgstore

import (
	"sync"
	"time"
)

// firstAtClock makes values for column first_at, by which lists of batches are ordered. The milliseconds of a value are
// the batch's FirstAt. The microseconds count up for consecutive batches with the same millisecond, so that this
// process lists them in their order of arrival. It is safe for concurrent use.
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
