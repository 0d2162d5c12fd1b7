package pgstore

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
)

const giveBackLeases = `
UPDATE batch b SET lease = NULL, lease_until = NULL
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) AS k (slot, plan, batch_id, lease)
WHERE b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id AND b.lease = k.lease`

// closeTime is how long Close tries to commit a group that is queued, and to give leases back. Those that it cannot give back
// end by themselves.
const closeTime = 5 * time.Second

// leases are those that this process took and that are not settled, so that one that ends in order gives them back.
type leases struct {
	mu   sync.Mutex
	held map[string]held // by token; guarded by mu
}

type held struct {
	key   store.BatchKey
	until time.Time
}

// took notes leases that end at a time, and forgets those that have ended at now.
func (l *leases) took(claims []store.Claim, now, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for token, h := range l.held {
		if !now.Before(h.until) {
			delete(l.held, token)
		}
	}
	if l.held == nil {
		l.held = make(map[string]held)
	}
	for _, c := range claims {
		l.held[c.Lease] = held{c.Key, until}
	}
}

// settled forgets the leases whose settlement is folded.
func (l *leases) settled(batches []*batchArrivals) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range batches {
		for _, a := range b.arrivals {
			if n, ok := a.News.(store.Settlement); ok {
				delete(l.held, n.Lease)
			}
		}
	}
}

// giveBack ends the leases that are held still.
func (s *Store) giveBack() {
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	if len(s.leases.held) == 0 {
		return
	}
	var k keys
	var tokens []string
	for token, h := range s.leases.held {
		k.add(s.slotOf(h.key), h.key)
		tokens = append(tokens, token)
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := s.write(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, giveBackLeases, k.slots, k.plans, k.ids, tokens)
		return err
	})
	if err != nil {
		s.trouble("commit", err)
	}
}
