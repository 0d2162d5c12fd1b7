package store

import (
	"context"
	"sync"
	"time"
)

// The names of the duties: background work that only one replica does at a time, under a leader lease.
const (
	LeaseReconcile = "reconcile" // fetching missing reports from Sinch
	LeaseRetention = "retention" // deleting what is older than the retention
)

// LeaderLeases returns the names of all duties, sorted.
func LeaderLeases() []string { return []string{LeaseReconcile, LeaseRetention} }

// LeaderLease is the leader lease for background work that only one of the replicas sharing a store may do. Call Held before
// each step of the work. A LeaderLease is safe for concurrent use.
type LeaderLease struct {
	Store    Store
	Name     string
	Duration time.Duration // duration of a lease; after a holder dies, another replica takes over within this time

	mu       sync.Mutex
	calledAt time.Time // when Store.AcquireLease was last called; zero after an error. Guarded by mu
	held     bool      // its result; guarded by mu
}

// Held reports whether this replica holds the leader lease at now. It renews the lease after a third of Lease and
// otherwise returns the cached result. So a step that begins while the lease is held has at least a third of Lease
// before another replica can begin one, minus the difference between their clocks. Held returns false after an error,
// and if Store.AcquireLease took a third of Lease or longer.
func (d *LeaderLease) Held(ctx context.Context, now time.Time) (bool, error) {
	began := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if since := now.Sub(d.calledAt); !d.calledAt.IsZero() && since >= 0 && since < d.Duration/3 {
		return d.held, nil
	}
	held, err := d.Store.AcquireLease(ctx, d.Name, now, now.Add(d.Duration))
	if err != nil || time.Since(began) >= d.Duration/3 {
		d.calledAt, d.held = time.Time{}, false
		return false, err
	}
	d.calledAt, d.held = now, held
	return held, nil
}
