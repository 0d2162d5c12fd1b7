package boltstore

import (
	"context"
	"time"
)

// AcquireLease always returns true unless the store is closed: only one process can have the directory open, so it holds every
// leader lease.
func (s *Store) AcquireLease(context.Context, string, time.Time, time.Time) (bool, error) {
	if s.closed.Load() {
		return false, s.closedError()
	}
	return true, nil
}

// QuotaShare returns 1, because no other replica uses the store.
func (s *Store) QuotaShare() float64 { return 1 }
