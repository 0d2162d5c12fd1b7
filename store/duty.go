package store

import (
	"context"
	"sync"
	"time"
)

// Duties by name. What they are is known to those who do them.
const (
	DutyReconcile = "reconcile" // asking Sinch for missing reports
	DutyRetire    = "retire"    // deleting what is older than the retention
)

// Duties are the names of all duties, sorted.
func Duties() []string { return []string{DutyReconcile, DutyRetire} }

// Duty is what one of the replicas that share a store does for all. Whoever does it asks Held before each step. It is safe for
// use by any number of goroutines.
type Duty struct {
	Store Store
	Name  string
	Lease time.Duration // for how long it is held at a time; it is taken over that long after a replica died

	mu    sync.Mutex
	asked time.Time // when the store was asked last; guarded by mu
	held  bool      // what it said; guarded by mu
}

// Held reports whether this replica has the duty at now. The store is asked anew after a third of the lease, so that a step begun
// while it is held has a third of it at least: for so long, and while clocks differ by less, no other begins one. After an error
// it is not held, and neither when it took a third of the lease to know.
func (d *Duty) Held(ctx context.Context, now time.Time) (bool, error) {
	called := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if since := now.Sub(d.asked); !d.asked.IsZero() && since >= 0 && since < d.Lease/3 {
		return d.held, nil
	}
	held, err := d.Store.Hold(ctx, d.Name, now, now.Add(d.Lease))
	if err != nil || time.Since(called) >= d.Lease/3 {
		d.asked, d.held = time.Time{}, false
		return false, err
	}
	d.asked, d.held = now, held
	return held, nil
}
