package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
)

var (
	// How many entries a slot may have is what all may have, so a bounded number of keys is read however far the quarantine grew.
	weighQuarantine = slotted{
		`slot, received_at, id, size`,
		`quarantine WHERE slot = $1`,
		`ORDER BY received_at DESC, id DESC LIMIT $2`,
	}
	findEvicted = slotted{
		`slot`,
		`(SELECT slot FROM quarantine WHERE slot = $1 AND (received_at, id) <= ($2, $3) ORDER BY received_at LIMIT 1) q`,
		``,
	}
)

const evictQuarantine = `
DELETE FROM quarantine WHERE slot = $1 AND (received_at, id) <= ($2, $3) AND received_at <= (
    SELECT max(received_at) FROM (
        SELECT received_at FROM quarantine WHERE slot = $1 AND (received_at, id) <= ($2, $3) ORDER BY received_at, id LIMIT $4) o)`

const (
	// evictShare is the part of its bounds that the quarantine may grow by before it is weighed again, since weighing reads all
	// its keys. Replicas do not know what the others have added since.
	evictShare = 16
	// evictPause is how long after a failure it is weighed again.
	evictPause = 5 * time.Second
)

// weight is how much of the quarantine's bounds is used.
type weight struct{ entries, bytes int }

func (w weight) within(most weight) bool { return w.entries <= most.entries && w.bytes <= most.bytes }

func (w weight) plus(o weight) weight { return weight{w.entries + o.entries, w.bytes + o.bytes} }

// bounds keeps the quarantine within what it may hold.
type bounds struct {
	grown chan struct{} // capacity 1: added has changed

	mu    sync.Mutex
	added weight // by this replica since the quarantine was weighed; guarded by mu

	weighed bool   // owned by the goroutine that evicts
	kept    weight // when it was weighed; owned by the goroutine that evicts
}

// add notes entries that were committed. It never waits: those whose commits are answered next do not wait for an eviction.
func (b *bounds) add(entries []recorded) {
	if len(entries) == 0 {
		return
	}
	b.mu.Lock()
	for _, r := range entries {
		b.added = b.added.plus(weight{1, len(r.arrival.News.(store.Quarantined).Raw)})
	}
	b.mu.Unlock()
	select {
	case b.grown <- struct{}{}:
	default:
	}
}

// since is what was added since the quarantine was weighed.
func (b *bounds) since() weight {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.added
}

// weighedAt notes what the quarantine holds, which includes what had been added before.
func (b *bounds) weighedAt(kept, before weight) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.weighed, b.kept = true, kept
	b.added = weight{b.added.entries - before.entries, b.added.bytes - before.bytes}
}

// evicting keeps the quarantine within its bounds until ctx ends.
func (s *Store) evicting(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.bounds.grown:
		}
		for err := s.bound(ctx); err != nil; err = s.bound(ctx) {
			if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
				return
			}
			s.trouble("expire", fmt.Errorf("bound the quarantine: %w", err))
			pause(ctx, evictPause)
		}
	}
}

// bound evicts the oldest entries, some more than have to go, once the quarantine may hold more than its bounds.
func (s *Store) bound(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*s.config.StatementTimeout)
	defer cancel()
	b := &s.bounds
	most := weight{s.config.QuarantineEntries, s.config.QuarantineBytes}
	share := weight{most.entries / evictShare, most.bytes / evictShare}
	added := b.since()
	if b.weighed && added.within(share) && b.kept.plus(added).within(most) {
		return nil
	}
	all, err := overSlots(ctx, s, pgx.RowToStructByPos[suspect], weighQuarantine, most.entries+1)
	if err != nil {
		return err
	}
	slices.SortFunc(all, youngest)
	var sum, room weight
	for _, e := range all {
		sum = sum.plus(weight{1, e.Size})
	}
	if room = sum; !sum.within(most) {
		room = weight{most.entries - share.entries, most.bytes - share.bytes}
	}
	kept, n := weight{}, 0
	for _, e := range all {
		next := kept.plus(weight{1, e.Size})
		if !next.within(room) {
			break
		}
		kept, n = next, n+1
	}
	if n < len(all) {
		if err := s.evict(ctx, all[n]); err != nil {
			return err
		}
	}
	b.weighedAt(kept, added)
	return nil
}

// evict deletes an entry and all older ones, a bounded number in a transaction.
func (s *Store) evict(ctx context.Context, newest suspect) error {
	evicted, err := s.deleteOld(ctx, findEvicted, evictQuarantine, newest.At, newest.ID)
	if report := s.config.Observer.Evicted; report != nil && evicted > 0 {
		report(evicted)
	}
	return err
}
