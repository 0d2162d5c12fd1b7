package boltstore

import "time"

const (
	// retryEvery is the pause after a failed commit. Without it, a full disk would refuse thousands of groups a second.
	retryEvery = time.Second
	// reportEvery is how often failures are reported while an incident lasts.
	reportEvery = time.Minute
)

// incident is a series of consecutive failures of one operation, such as a write. The zero value has no failures.
type incident struct {
	last, reported time.Time
}

// shouldReport records a failure at the time now. It returns true if the failure must be reported: for the first one of
// a series, and then once per minute (reportEvery).
func (i *incident) shouldReport(now time.Time) bool {
	i.last = now
	if !i.reported.IsZero() && now.Sub(i.reported) < reportEvery {
		return false
	}
	i.reported = now
	return true
}

// waitRetry blocks until one second (retryEvery) after the last failed journal write. It returns at once if lastFailure
// is zero (none failed) or if the store is closing.
func (s *Store) waitRetry(lastFailure time.Time) {
	if lastFailure.IsZero() || s.closed.Load() {
		return
	}
	select {
	case <-time.After(time.Until(lastFailure.Add(retryEvery))):
	case <-s.failed:
	}
}
