package boltstore

import "time"

const (
	// retryEvery is the pause after a failed commit: a full disk would otherwise refuse thousands of groups a second.
	retryEvery = time.Second
	// reportEvery is how often failures are reported while an incident lasts.
	reportEvery = time.Minute
)

// incident is a run of failures of one operation without a success in between. The zero value is no failure.
type incident struct {
	last, reported time.Time
}

// shouldReport adds a failure at now and reports whether it must be logged and counted: the first one, and then one
// every reportEvery.
func (i *incident) shouldReport(now time.Time) bool {
	i.last = now
	if !i.reported.IsZero() && now.Sub(i.reported) < reportEvery {
		return false
	}
	i.reported = now
	return true
}

// waitRetry blocks until retryEvery after the last failed commit, or until the store ends. A zero time means that no
// commit failed.
func (s *Store) waitRetry(failed time.Time) {
	if failed.IsZero() || s.closed.Load() {
		return
	}
	select {
	case <-time.After(time.Until(failed.Add(retryEvery))):
	case <-s.failed:
	}
}
