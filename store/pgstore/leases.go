package pgstore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// SQL statements with which Close releases the leases of feedback tasks.
const (
	// The commit of a claim may still be running after its caller gave up. Its rows are locked until that commit
	// ends, so lock the rows first.
	lockLeased keyedSQL = `
SELECT b.batch_id FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (slot, plan, batch_id)
JOIN batch b ON b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
ORDER BY b.slot, b.plan, b.batch_id FOR UPDATE OF b`

	releaseLeased keyedSQL = `
UPDATE batch b SET lease = NULL, lease_until = NULL
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) AS k (slot, plan, batch_id, lease)
WHERE b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id AND b.lease = k.lease`
)

// closeTime limits each of the two waits of Close: for queued arrivals to be committed, and for leases to be released.
// A lease that is not released lasts until its end time.
const closeTime = 5 * time.Second

// leases holds the leases of feedback tasks that this process has acquired and not settled, so that Close can release
// them. It includes leases whose commit was not confirmed. The zero value is ready to use.
type leases struct {
	mu   sync.Mutex
	held map[string]held // by lease token; guarded by mu
}

// held is a leased batch, with the time at which its lease ends.
type held struct {
	entry
	until time.Time
}

// add records leases before they are acquired: tokens[i] is the lease token of entries[i], and until is the end of all
// of them. It removes earlier leases that have ended at now.
func (l *leases) add(entries []entry, tokens []string, now, until time.Time) {
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

func (l *leases) removeSettled(batches []*batchArrivals) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range batches {
		for _, c := range b.changes {
			for _, token := range c.Settled {
				delete(l.held, token)
			}
		}
	}
}

// releaseLeases releases all leases of this process that have not been settled.
func (s *Store) releaseLeases() {
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
			s.reportFailure("commit", fmt.Errorf("release leases: %w", err))
			return
		}
	}
}

// lease is the lease token of a leased batch, and the key of that batch.
type lease struct {
	entry
	token string
}

// endLeases releases leases in one transaction. It skips batches that another process has leased meanwhile.
func (s *Store) endLeases(ctx context.Context, leased []lease) error {
	var entries []entry
	var tokens []string
	for _, l := range leased {
		entries, tokens = append(entries, l.entry), append(tokens, l.token)
	}
	k := keysOf(entries)
	return s.writing(ctx, func(tx pgx.Tx) error {
		var queue pgx.Batch
		s.queue(&queue, lockLeased, k.slots, k.plans, k.ids)
		s.queue(&queue, releaseLeased, k.slots, k.plans, k.ids, tokens)
		return tx.SendBatch(ctx, &queue).Close()
	})
}
