package pgstore

import (
	"sync"

	"github.com/dlrloop/dlrloop/store"
)

// maxDeleting is the maximum number of batches in a deletingBatches.
const maxDeleting = 1024

// deletingBatches holds the batches whose deletion the slow lane completes for an arrival. The lanes pass every
// arrival for such a batch on to the slow lane: the deletion locks the row of the batch, and a lane that waited for
// the row would delay all arrivals in the lane. The zero value is empty and ready to use.
type deletingBatches struct {
	mu   sync.Mutex
	keys map[store.BatchKey]bool // guarded by mu
}

// add adds a batch. A lane calls it before the slow lane gets the arrival. If the set is full, add first empties it:
// a removed batch costs at most one wait for its row.
func (d *deletingBatches) add(key store.BatchKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.keys == nil || len(d.keys) >= maxDeleting {
		d.keys = make(map[store.BatchKey]bool)
	}
	d.keys[key] = true
}

// remove removes a batch, if it is in the set. The slow lane calls it after each arrival.
func (d *deletingBatches) remove(key store.BatchKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.keys, key)
}

// split returns the indexes of the arrivals of group whose batches are in the set, and the indexes of all others.
// deleted is nil if there are none; others is then nil, too.
func (d *deletingBatches) split(group []recorded) (deleted, others []int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.keys) == 0 {
		return nil, nil
	}
	for i, r := range group {
		if d.keys[r.arrival.Key()] {
			deleted = append(deleted, i)
		} else {
			others = append(others, i)
		}
	}
	if deleted == nil {
		return nil, nil
	}
	return deleted, others
}
