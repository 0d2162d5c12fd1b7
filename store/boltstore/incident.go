package boltstore

import (
	"time"

	"github.com/dlrloop/dlrloop/store/disk"
)

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

// reportFailure passes an error and the name of the failed operation, such as "commit", to Observer.Failed. A fatal
// error (see disk.Fatal) also ends the store: further calls return ErrClosed.
func (s *Store) reportFailure(operation string, err error) {
	if o := s.config.Observer.Failed; o != nil {
		o(operation, err)
	}
	if disk.IsFatal(err) {
		s.failure.Do(func() {
			s.err = err
			s.closed.Store(true)
			close(s.failed) // first, so that callers that wake up find the cause
			s.backlog.End()
			s.journal.Stop()
		})
	}
}
