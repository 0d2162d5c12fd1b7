package boltstore

import (
	"context"
	"time"
)

// AcquireLease implements store.Store: it returns true, or ErrClosed after Close. Only one process can have the
// directory open, so that process holds every leader lease.
func (s *Store) AcquireLease(context.Context, string, time.Time, time.Time) (bool, error) {
	if s.closed.Load() {
		return false, s.closedError()
	}
	return true, nil
}

// QuotaShare implements store.Store: it returns 1, because no other replica uses the store.
func (s *Store) QuotaShare() float64 { return 1 }
