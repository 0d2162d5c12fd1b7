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

// digest is the SHA-256 of a caller's token, or of the JSON of a batch. The gateway compares digests, so it need not
// keep tokens or JSON in memory.
type digest = [sha256.Size]byte

// tokens remembers which callers' tokens Sinch has accepted for which plan, so that not every request must be checked
// at Sinch. It holds at most 1024 digests of tokens (maxTokens), each for five minutes (tokenMemory).
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

// accept remembers for five minutes (tokenMemory) that Sinch accepts the token for the plan. If the cache is full,
// another token is forgotten.
func (t *tokens) accept(plan string, token digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key, now := tokenKey{plan, token}, time.Now()
	if _, known := t.good[key]; !known && len(t.good) >= maxTokens {
		t.makeRoom(now)
	}
	t.good[key] = now.Add(tokenMemory)
}

// makeRoom deletes the expired entries of the cache. If the cache is still full, it deletes an arbitrary entry, whose
// token is then checked at Sinch again. The caller must hold t.mu.
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

// forget deletes a token from the cache, because Sinch has just refused it for the plan. It does nothing if the token
// is not there.
func (t *tokens) forget(plan string, token digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.good, tokenKey{plan, token})
}
