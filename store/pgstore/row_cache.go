package pgstore

import (
	"sync"

	"github.com/dlrloop/dlrloop/store"
)

// mostKnown bounds either half of known.
const mostKnown = 1 << 14

// known are batches whose rows were there a while ago, so that they are not named again with each group. It may be wrong: retention,
// of another replica too, deletes rows. The zero value knows none.
type known struct {
	mu            sync.Mutex
	recent, older map[store.BatchKey]struct{} // guarded by mu. What is not asked for while recent fills goes
}

// has reports whether the row of a batch was there.
func (k *known) has(key store.BatchKey) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.recent[key]; ok {
		return true
	}
	_, ok := k.older[key]
	if ok {
		k.put(key)
	}
	return ok
}

// add notes batches whose rows were committed.
func (k *known) add(batches []*batchArrivals) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, b := range batches {
		k.put(b.key)
	}
}

// put notes a batch. mu is held.
func (k *known) put(key store.BatchKey) {
	if k.recent == nil || len(k.recent) >= mostKnown {
		k.recent, k.older = make(map[store.BatchKey]struct{}), k.recent
	}
	k.recent[key] = struct{}{}
}

// forget notes that a batch is gone.
func (k *known) forget(key store.BatchKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.recent, key)
	delete(k.older, key)
}
