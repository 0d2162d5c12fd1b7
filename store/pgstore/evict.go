package pgstore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dlrloop/dlrloop/store"
)

var weighQuarantine = slotted{
	`slot, received_at, id, size`,
	`quarantine WHERE slot = $1`,
	`ORDER BY received_at DESC, id DESC`,
}

const evictQuarantine = `DELETE FROM quarantine WHERE slot = $1 AND (received_at, id) <= ($2, $3)`

// evictShare is which part of its bounds the quarantine may grow by before it is weighed again: to weigh it, all its keys are read.
// Replicas do not know what the others have added since.
const evictShare = 16

// evictTime is how long those who wait for their commit may wait for room to be made, too. What is too much then goes the next time.
const evictTime = 5 * time.Second

// weight is how much of the quarantine's bounds is used.
type weight struct{ entries, bytes int }

func (w weight) within(most weight) bool { return w.entries <= most.entries && w.bytes <= most.bytes }

func (w weight) plus(o weight) weight { return weight{w.entries + o.entries, w.bytes + o.bytes} }

// bounds keeps the quarantine within what it may hold.
type bounds struct {
	mu      sync.Mutex
	weighed bool   // guarded by mu
	kept    weight // when it was weighed; guarded by mu
	added   weight // by this replica since; guarded by mu
}

// quarantined makes room after entries were added: the oldest go, some more than have to.
func (s *Store) quarantined(entries []recorded) error {
	if len(entries) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), evictTime)
	defer cancel()
	var added weight
	for _, r := range entries {
		added = added.plus(weight{1, len(r.arrival.News.(store.Quarantined).Raw)})
	}
	b := &s.bounds
	b.mu.Lock()
	defer b.mu.Unlock()
	most := weight{s.config.QuarantineEntries, s.config.QuarantineBytes}
	share := weight{most.entries / evictShare, most.bytes / evictShare}
	if b.added = b.added.plus(added); b.weighed && b.added.within(share) && b.kept.plus(b.added).within(most) {
		return nil
	}
	all, err := overSlots(ctx, s, pgx.RowToStructByPos[suspect], weighQuarantine)
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
	if err := s.evict(ctx, all[n:]); err != nil {
		return err
	}
	b.weighed, b.kept, b.added = true, kept, weight{}
	return nil
}

// evict deletes entries, the latest of which comes first.
func (s *Store) evict(ctx context.Context, entries []suspect) error {
	evicted := 0
	slots := make(map[int16]bool)
	for _, e := range entries {
		if slots[e.Slot] {
			continue // with the first of its slot
		}
		slots[e.Slot] = true
		var done pgconn.CommandTag
		err := s.writing(ctx, func(tx pgx.Tx) (err error) {
			done, err = tx.Exec(ctx, evictQuarantine, e.Slot, e.At, e.ID)
			return err
		})
		if err != nil {
			return fmt.Errorf("evict: %w", err)
		}
		evicted += int(done.RowsAffected())
	}
	if tell := s.config.Observer.Evicted; tell != nil && evicted > 0 {
		tell(evicted)
	}
	return nil
}
