package store

import (
	"context"
	"sync"
	"time"
)

// The names of the leader leases, for Cluster.AcquireLease and as labels of metrics. Each lease lets one replica at a
// time do one kind of background work.
const (
	LeaseDestinations = "destinations" // delivering events to the application
	LeaseReconcile    = "reconcile"    // fetching missing reports from Sinch
	LeaseRetention    = "retention"    // deleting what is older than the retention
)

// LeaderLeases returns the names of all leader leases, sorted. The caller may change the slice.
func LeaderLeases() []string { return []string{LeaseDestinations, LeaseReconcile, LeaseRetention} }

// LeaderLease lets only one of the replicas sharing a store do some background work. Set the exported fields, then call
// Held before each step of the work. It is safe for concurrent use and must not be copied.
type LeaderLease struct {
	Cluster Cluster // nil if only one process uses the store; that process then always holds the lease
	Name    string  // one of LeaderLeases
	// Duration is how long an acquired lease lasts. Another replica can acquire it after this time at the latest.
	Duration time.Duration

	mu       sync.Mutex
	calledAt time.Time // when Cluster.AcquireLease was last called; zero after an error. Guarded by mu
	held     bool      // its result; guarded by mu
}

// Held reports whether this replica may do the next step of the work; pass the current time. It may block, as it
// acquires or renews the lease. If that fails or is too slow, it returns false, and the error if there is one. Finish
// the step within Duration/3, minus the clock difference between replicas; after that, another replica may take over.
func (d *LeaderLease) Held(ctx context.Context, now time.Time) (bool, error) {
	if d.Cluster == nil {
		return true, nil
	}
	began := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	// The answer counts for a third of Duration.
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
