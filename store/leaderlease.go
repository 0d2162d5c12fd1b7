package store

import (
	"context"
	"sync"
	"time"
)

// The names of the leader leases. Each lease guards background work that only one replica does at a time. The name is
// passed to Cluster.AcquireLease and is a label value in the metrics.
const (
	LeaseReconcile = "reconcile" // fetching missing reports from Sinch
	LeaseRetention = "retention" // deleting what is older than the retention
)

// LeaderLeases returns the names of all leader leases, sorted, in a new slice.
func LeaderLeases() []string { return []string{LeaseReconcile, LeaseRetention} }

// LeaderLease acquires and renews the leader lease for background work that only one of the replicas sharing a store
// may do. Set the exported fields, then call Held before each step of the work. A LeaderLease is safe for concurrent
// use and must not be copied.
type LeaderLease struct {
	Cluster Cluster // nil if only one process uses the store; that process then always holds the lease
	Name    string  // LeaseReconcile or LeaseRetention
	// Duration is how long an acquired lease lasts. Another replica can acquire it after this time at the latest.
	Duration time.Duration

	mu       sync.Mutex
	calledAt time.Time // when Cluster.AcquireLease was last called; zero after an error. Guarded by mu
	held     bool      // its result; guarded by mu
}

// Held reports whether this replica holds the leader lease; now must be the current time. It calls
// Cluster.AcquireLease, which may block, and caches the answer for a third of Duration. If the call fails or takes a
// third of Duration or longer, Held returns false, and the error if the call failed. After Held returned true, no other
// replica can acquire the lease for at least a third of Duration, minus the difference between the replicas' clocks.
func (d *LeaderLease) Held(ctx context.Context, now time.Time) (bool, error) {
	if d.Cluster == nil {
		return true, nil
	}
	began := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if since := now.Sub(d.calledAt); !d.calledAt.IsZero() && since >= 0 && since < d.Duration/3 {
		return d.held, nil
	}
	held, err := d.Cluster.AcquireLease(ctx, d.Name, now, now.Add(d.Duration))
	if err != nil || time.Since(began) >= d.Duration/3 {
		d.calledAt, d.held = time.Time{}, false
		return false, err
	}
	d.calledAt, d.held = now, held
	return held, nil
}
