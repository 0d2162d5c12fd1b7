package boltstore

import (
	"context"
	"time"
)

// Hold always returns true unless the store is closed: only one process can have the directory open, so it holds every
// leader lease.
func (s *Store) Hold(context.Context, string, time.Time, time.Time) (bool, error) {
	if s.closed.Load() {
		return false, s.closedError()
	}
	return true, nil
}

// Share returns 1, because no other replica uses the store.
func (s *Store) Share() float64 { return 1 }
