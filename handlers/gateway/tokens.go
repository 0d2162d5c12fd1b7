package gateway

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	tokenMemory = 5 * time.Minute // how long an accepted token is cached
	maxTokens   = 1024            // entries of the cache
)

// digest is the SHA-256 of a token, or of the JSON of a batch.
type digest = [sha256.Size]byte

// tokens caches which callers' tokens Sinch has accepted for which plan. It holds at most 1024 digests of tokens
// (maxTokens), and each expires after five minutes (tokenMemory).
type tokens struct {
	mu   sync.Mutex
	good map[tokenKey]time.Time // time of expiry; guarded by mu
}

type tokenKey struct {
	plan  string
	token digest
}

func newTokens() *tokens { return &tokens{good: make(map[tokenKey]time.Time)} }

func (t *tokens) accepted(plan string, token digest) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Now().Before(t.good[tokenKey{plan, token}])
}

// accept adds a token that Sinch has just accepted for the plan to the cache.
func (t *tokens) accept(plan string, token digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key, now := tokenKey{plan, token}, time.Now()
	if _, known := t.good[key]; !known && len(t.good) >= maxTokens {
		t.makeRoom(now)
	}
	t.good[key] = now.Add(tokenMemory)
}

// makeRoom deletes the expired entries of the cache. If it is still full, an arbitrary entry is deleted; its token is
// then checked at Sinch again. The caller holds mu.
func (t *tokens) makeRoom(now time.Time) {
	for key, until := range t.good {
		if !now.Before(until) {
			delete(t.good, key)
		}
	}
	for key := range t.good {
		if len(t.good) < maxTokens {
			return
		}
		delete(t.good, key)
	}
}

// forget deletes a token that Sinch has just refused for the plan from the cache.
func (t *tokens) forget(plan string, token digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.good, tokenKey{plan, token})
}
