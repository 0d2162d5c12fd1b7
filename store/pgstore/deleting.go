package pgstore

import (
	"sync"

	"github.com/dlrloop/dlrloop/store"
)

// maxDeleting is the maximum number of batches in a deletingBatches, which is emptied when it is full.
const maxDeleting = 1024

// deletingBatches is the set of batches that the slow lane is deleting: those for which an arrival came after retention
// had hidden them. The other lanes (goroutines that commit arrivals) pass arrivals for these batches on to the slow
// lane: waiting for the locked row of such a batch would delay all their other arrivals. The zero value is empty.
type deletingBatches struct {
	mu   sync.Mutex
	keys map[store.BatchKey]bool // guarded by mu
}

// add adds a batch to the set. A lane calls it before it passes an arrival on to the slow lane. A full set is emptied
// first; a lane may then have to wait once for the row of each removed batch.
func (d *deletingBatches) add(key store.BatchKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.keys == nil || len(d.keys) >= maxDeleting {
		d.keys = make(map[store.BatchKey]bool)
	}
	d.keys[key] = true
}

// remove removes a batch from the set, if it is there. The slow lane calls it after each arrival.
func (d *deletingBatches) remove(key store.BatchKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.keys, key)
}

// split divides the indexes of group: deleted are those of arrivals whose batch is in the set, others are the rest.
// Both are nil if no batch of the group is in the set.
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
