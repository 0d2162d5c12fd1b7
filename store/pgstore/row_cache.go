package pgstore

import (
	"sync"

	"github.com/dlrloop/dlrloop/store"
)

// rowCacheHalf is the maximum number of batches in each of the two maps of a rowCache.
const rowCacheHalf = 1 << 14

// rowCache holds keys of batches that have a row, so that a commit does not try to insert the row again. When it is
// full, it drops old keys. If retention on any replica has deleted the row of a cached batch, load removes the batch
// from the cache and the transaction is retried. The zero value is empty. It is safe for concurrent use.
type rowCache struct {
	mu sync.Mutex
	// two generations; a full recent becomes older, and the previous older is dropped; guarded by mu
	recent, older map[store.BatchKey]struct{}
}

// has reports whether the batch is in the cache, and marks it as recently used.
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

func (c *rowCache) add(batches []*batchArrivals) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range batches {
		c.put(b.key)
	}
}

// put adds a batch as recently used. The caller must hold c.mu.
func (c *rowCache) put(key store.BatchKey) {
	if c.recent == nil || len(c.recent) >= rowCacheHalf {
		c.recent, c.older = make(map[store.BatchKey]struct{}), c.recent
	}
	c.recent[key] = struct{}{}
}

// remove removes a batch whose row was not found.
func (c *rowCache) remove(key store.BatchKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.recent, key)
	delete(c.older, key)
}
