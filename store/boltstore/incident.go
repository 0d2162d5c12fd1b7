package boltstore

import "time"

const (
	// retryEvery is the pause after a failed commit: a full disk would otherwise refuse thousands of groups a second.
	retryEvery = time.Second
	// reportEvery is how often failures are reported while an incident lasts.
	reportEvery = time.Minute
)

// incident is a series of failures of one operation without a success in between. The zero value has no failures.
type incident struct {
	last, reported time.Time
}

// shouldReport adds a failure at now. It reports whether this failure must be logged and counted: the first one, and
// then one per minute (reportEvery).
func (i *incident) shouldReport(now time.Time) bool {
	i.last = now
	if !i.reported.IsZero() && now.Sub(i.reported) < reportEvery {
		return false
	}
	i.reported = now
	return true
}

// waitRetry blocks until one second (retryEvery) after failed, the time of the last failed commit, or until the store
// ends. It returns at once if failed is zero, because no commit failed, or if the store is closing.
func (s *Store) waitRetry(failed time.Time) {
	if failed.IsZero() || s.closed.Load() {
		return
	}
	select {
	case <-time.After(time.Until(failed.Add(retryEvery))):
	case <-s.failed:
	}
}
