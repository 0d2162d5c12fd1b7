package pgstore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
)

const (
	// The claim of a lease may be committing still, after whoever wanted it gave up: its rows are locked until that is done.
	lockLeased = `
SELECT b.batch_id FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (slot, plan, batch_id)
JOIN batch b ON b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
ORDER BY b.slot, b.plan, b.batch_id FOR UPDATE OF b`

	giveBackLeases = `
UPDATE batch b SET lease = NULL, lease_until = NULL
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) AS k (slot, plan, batch_id, lease)
WHERE b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id AND b.lease = k.lease`
)

// closeTime is how long Close tries to commit what is queued, and then to give leases back. Those that it cannot give back
// end by themselves.
const closeTime = 5 * time.Second

// leases are those that this process took, or may have taken, and that are not settled, so that one that ends in order gives
// them back.
type leases struct {
	mu   sync.Mutex
	held map[string]held // by token; guarded by mu
}

type held struct {
	entry
	until time.Time
}

// taking notes the tokens with which entries are about to be leased until a time, and forgets those that have ended at now.
func (l *leases) taking(entries []entry, tokens []string, now, until time.Time) {
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
	for i, e := range entries {
		l.held[tokens[i]] = held{e, until}
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
	var leased []lease
	for token, h := range s.leases.held {
		leased = append(leased, lease{h.entry, token})
	}
	slices.SortFunc(leased, func(a, b lease) int { return byKey(a.entry, b.entry) })
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	for _, part := range split(s.config.Dialect, leased, func(l lease) int16 { return l.slot }) {
		if err := s.endLeases(ctx, part); err != nil {
			s.trouble("commit", fmt.Errorf("give back leases: %w", err))
			return
		}
	}
}

type lease struct {
	entry
	token string
}

func (s *Store) endLeases(ctx context.Context, leased []lease) error {
	var entries []entry
	var tokens []string
	for _, l := range leased {
		entries, tokens = append(entries, l.entry), append(tokens, l.token)
	}
	k := keysOf(entries)
	return s.writing(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockLeased, k.slots, k.plans, k.ids); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, giveBackLeases, k.slots, k.plans, k.ids, tokens)
		return err
	})
}
