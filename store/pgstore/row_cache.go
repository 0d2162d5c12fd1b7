package pgstore

import (
	"sync"

	"github.com/dlrloop/dlrloop/store"
)

// rowCacheHalf is the maximum number of batches in either generation of a rowCache, recent and older.
const rowCacheHalf = 1 << 14

// rowCache is an approximate LRU cache of batches that have a row, so that a commit does not try to insert the row
// again. It may be stale, since retention on any replica deletes rows: load then finds no row, removes the batch and
// retries. The zero value is empty. It is safe for concurrent use.
type rowCache struct {
	mu sync.Mutex
	// two generations; a full recent becomes older, and the previous older is dropped; guarded by mu
	recent, older map[store.BatchKey]struct{}
}

// has reports whether the cache contains the batch.
func (c *rowCache) has(key store.BatchKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.recent[key]; ok {
		return true
	}
	_, ok := c.older[key]
	if ok {
		c.put(key)
	}
	return ok
}

// add records batches whose rows were committed.
func (c *rowCache) add(batches []*batchArrivals) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range batches {
		c.put(b.key)
	}
}

// put adds a batch to the recent generation. The caller holds mu.
func (c *rowCache) put(key store.BatchKey) {
	if c.recent == nil || len(c.recent) >= rowCacheHalf {
		c.recent, c.older = make(map[store.BatchKey]struct{}), c.recent
	}
	c.recent[key] = struct{}{}
}

// remove removes a batch that turned out to have no row.
func (c *rowCache) remove(key store.BatchKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.recent, key)
	delete(c.older, key)
}
