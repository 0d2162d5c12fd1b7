package boltstore

import "time"

const (
	// retryEvery is the pause after a commit that failed: a disk that is full would refuse thousands of groups a second.
	retryEvery = time.Second
	// countEvery is how often an incident that lasts is counted and logged.
	countEvery = time.Minute
)

// incident is a run of failures of one operation, without a success between them. The zero value is none.
type incident struct {
	last, counted time.Time
}

// counts adds a failure and reports whether it is to be counted: the first one, and then one every countEvery.
func (i *incident) counts(now time.Time) bool {
	i.last = now
	if !i.counted.IsZero() && now.Sub(i.counted) < countEvery {
		return false
	}
	i.counted = now
	return true
}

// rest waits until retryEvery after the commit that failed last, zero for none, or until the store ends.
func (s *Store) rest(failed time.Time) {
	if failed.IsZero() || s.closed.Load() {
		return
	}
	select {
	case <-time.After(time.Until(failed.Add(retryEvery))):
	case <-s.failed:
	}
}
