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

// SQL statements that measure the quarantine (callbacks kept because they were not understood), and find the slots
// (hash partitions) with entries to evict.
const (
	// The limit for one slot is that for all slots together, so the number of keys read stays bounded however large
	// the quarantine is.
	measureQuarantine slotSQL = `
SELECT slot, received_at, id, size
FROM quarantine WHERE slot = $1
ORDER BY received_at DESC, id DESC LIMIT $2`

	findEvicted slotSQL = `
SELECT slot
FROM (SELECT slot FROM quarantine WHERE slot = $1 AND (received_at, id) <= ($2, $3) ORDER BY received_at LIMIT 1) q`
)

// evictQuarantine deletes about $4 entries of slot $1: the oldest of those up to and including the entry ($2, $3).
const evictQuarantine = `
DELETE FROM quarantine WHERE slot = $1 AND (received_at, id) <= ($2, $3) AND received_at <= (
    SELECT max(received_at) FROM (
        SELECT received_at FROM quarantine WHERE slot = $1 AND (received_at, id) <= ($2, $3) ORDER BY received_at, id LIMIT $4) o)`

// These constants determine how often the size of the quarantine is measured.
const (
	// The quarantine may grow by 1/evictFraction of its bounds before it is measured again, because measuring reads all
	// its keys. A replica does not know what other replicas have added since.
	evictFraction = 16
	// evictPause is the delay after a failure before the quarantine is measured again.
	evictPause = 5 * time.Second
)

// usage is a number of quarantine entries and the total size of their raw bodies in bytes.
type usage struct{ entries, bytes int }

func (u usage) within(most usage) bool { return u.entries <= most.entries && u.bytes <= most.bytes }

func (u usage) plus(o usage) usage { return usage{u.entries + o.entries, u.bytes + o.bytes} }

// bounds records the size of the quarantine, so that runEviction can keep it within Config.QuarantineEntries and
// Config.QuarantineBytes.
type bounds struct {
	grown chan struct{} // capacity 1: signals that added has changed

	mu    sync.Mutex
	added usage // by this replica since the last measurement; guarded by mu

	measured bool  // whether kept is valid; owned by the goroutine of runEviction
	kept     usage // size at the last measurement; owned by the goroutine of runEviction
}

// add counts quarantine entries that this replica has committed, and wakes runEviction. It does not block, because
// callers of Record wait for it.
func (b *bounds) add(entries []recorded) {
	var added usage
	for _, r := range entries {
		added = added.plus(usage{1, len(r.arrival.Entry.RawBytes())})
	}
	b.grow(added)
}

// grow counts what this replica has added to the quarantine, as add does.
func (b *bounds) grow(added usage) {
	if added == (usage{}) {
		return
	}
	b.mu.Lock()
	b.added = b.added.plus(added)
	b.mu.Unlock()
	select {
	case b.grown <- struct{}{}:
	default:
	}
}

// since returns the number and total size of the entries that this replica has added since the last measurement.
func (b *bounds) since() usage {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.added
}

// recordMeasured stores kept, the size of the quarantine after a measurement and eviction. before is the result of
// since when the measurement began. Those entries are part of kept, so recordMeasured subtracts them from b.added.
func (b *bounds) recordMeasured(kept, before usage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.measured, b.kept = true, kept
	b.added = usage{b.added.entries - before.entries, b.added.bytes - before.bytes}
}

// runEviction keeps the quarantine within its bounds until ctx ends, checking them when this replica has added entries.
func (s *Store) runEviction(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.bounds.grown:
		}
		for err := s.enforceBounds(ctx); err != nil; err = s.enforceBounds(ctx) {
			if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
				return
			}
			s.reportFailure("expire", fmt.Errorf("evict quarantine entries: %w", err))
			pause(ctx, evictPause)
		}
	}
}

// enforceBounds measures the quarantine if it may exceed its bounds. If it does exceed them, enforceBounds deletes the
// oldest entries until the quarantine is 1/evictFraction below its bounds.
func (s *Store) enforceBounds(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*s.config.StatementTimeout)
	defer cancel()
	b := &s.bounds
	most := usage{s.config.QuarantineEntries, s.config.QuarantineBytes}
	slack := usage{most.entries / evictFraction, most.bytes / evictFraction}
	added := b.since()
	if b.measured && added.within(slack) && b.kept.plus(added).within(most) {
		return nil
	}
	all, err := overSlots(ctx, s, pgx.RowToStructByPos[quarantineKey], measureQuarantine, most.entries+1)
	if err != nil {
		return err
	}
	slices.SortFunc(all, newestFirst)
	var sum, room usage
	for _, e := range all {
		sum = sum.plus(usage{1, e.Size})
	}
	if room = sum; !sum.within(most) {
		room = usage{most.entries - slack.entries, most.bytes - slack.bytes}
	}
	kept, n := usage{}, 0
	for _, e := range all {
		next := kept.plus(usage{1, e.Size})
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
	b.recordMeasured(kept, added)
	return nil
}

// evict deletes the quarantine entry newest and all older ones, in transactions of limited size. It passes the number
// of deleted entries to the observer.
func (s *Store) evict(ctx context.Context, newest quarantineKey) error {
	evicted, err := s.deleteOld(ctx, findEvicted, evictQuarantine, newest.At, newest.ID)
	if report := s.config.Observer.Evicted; report != nil && evicted > 0 {
		report(evicted)
	}
	return err
}
