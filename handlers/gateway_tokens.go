package handlers

import (
	"sync"
	"time"
)

const (
	tokenMemory = 5 * time.Minute
	maxTokens   = 1024
)

// tokens remembers the callers' tokens that Sinch accepted for a plan, by their digests.
type tokens struct {
	mu   sync.Mutex
	good map[tokenKey]time.Time // guarded by mu; until when
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

// accept remembers a token that Sinch has just accepted.
func (t *tokens) accept(plan string, token digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key, now := tokenKey{plan, token}, time.Now()
	if _, known := t.good[key]; !known && len(t.good) >= maxTokens {
		t.makeRoom(now)
	}
	t.good[key] = now.Add(tokenMemory)
}

// makeRoom forgets what is over, and if that is nothing, any one: it costs a call to ask again.
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

// forget is for a token that Sinch has just refused.
func (t *tokens) forget(plan string, token digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.good, tokenKey{plan, token})
}
