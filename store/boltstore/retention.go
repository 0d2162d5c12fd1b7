package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

const (
	// retentionStep is the maximum number of keys that one transaction of retention deletes, so that the fold need not
	// wait long for it.
	retentionStep = 2000
	// retentionYoung is how many consecutive batches that are too new end the search for old ones. Batches are sorted
	// by their first arrival, except for a few after the clock was set.
	retentionYoung = 100
)

// DeleteOlder implements store.Store: it deletes up to limit batches that have no pending feedback and whose last
// arrival is earlier than cutoff. more is true if more may remain. The next call completes an interrupted one.
func (s *Store) DeleteOlder(ctx context.Context, cutoff time.Time, limit int) (deleted int, more bool, err error) {
	if s.closed.Load() {
		return 0, false, s.closedError()
	}
	deleted, more, err = s.unindex(cutoff, limit)
	if err == nil {
		err = s.dropUnfinished(ctx)
	}
	for emptied := false; err == nil && !emptied && ctx.Err() == nil; {
		err = s.write(func(c *writeTx) error {
			emptied, err = c.purge(cutoff)
			return err
		})
	}
	if errors.Is(err, store.ErrClosed) || errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return deleted, false, s.closedError()
	}
	if err != nil {
		s.noteDamaged(err)
		s.reportFailure("expire", err)
		return deleted, false, fmt.Errorf("delete old batches: %w", err)
	}
	return deleted, more, ctx.Err()
}

// unindex removes up to limit old batches from all indexes, so that reads do not find them. It lists them in
// BucketTrash, so that purge deletes their recipients and reports.
func (s *Store) unindex(cutoff time.Time, limit int) (deleted int, more bool, err error) {
	var old []*store.Batch
	var numbers []schema.Number
	if old, numbers, err = s.findOld(cutoff, limit); err != nil || len(old) == 0 {
		return 0, false, err
	}
	var perPlan map[string]removed
	err = s.write(func(c *writeTx) error {
		tx := c.tx
		deleted, perPlan = 0, make(map[string]removed)
		for i, b := range old {
			n := numbers[i]
			// An arrival may have changed it since findOld.
			now, err := schema.ReadBatch(tx, n)
			if err != nil || now == nil || !pastRetention(now, cutoff) {
				if err != nil {
					return err
				}
				continue
			}
			c.totals.Plan(b.Plan).Feedback.Sub(now.Tally())
			err = errors.Join(
				tx.Bucket(schema.BucketIDs).Delete(schema.IDKey(b.Key())),
				tx.Bucket(schema.BucketBatches).Delete(n.Key()),
				schema.Reindex(tx, schema.IndexKeysOf(now, n), schema.IndexKeys{}),
				tx.Bucket(schema.BucketTrash).Put(n.Key(), nil),
			)
			if err != nil {
				return err
			}
			deleted++
			perPlan[b.Plan] = removed{perPlan[b.Plan].batches + 1, perPlan[b.Plan].dead + now.Feedback.Dead}
		}
		return c.totals.Save(tx)
	})
	if err != nil {
		return 0, false, err
	}
	if report := s.config.Observer.Deleted; report != nil {
		for plan, e := range perPlan {
			report(plan, e.batches, e.dead)
		}
	}
	return deleted, len(old) == limit, nil
}

// removed counts the batches of one plan that were deleted, and their recipients with dead (given up) feedback.
type removed struct{ batches, dead int }

// pastRetention reports whether a batch may be deleted: its last arrival is earlier than cutoff, and no feedback is
// pending. Dead (given up) feedback is deleted with the batch.
func pastRetention(b *store.Batch, cutoff time.Time) bool {
	return b.LastAt.Before(cutoff) && b.Task == nil
}

// findOld returns up to limit batches that are old enough to be deleted, and their numbers in the database.
func (s *Store) findOld(cutoff time.Time, limit int) (old []*store.Batch, numbers []schema.Number, err error) {
	err = s.viewFolded(func(tx *bolt.Tx) error {
		c := tx.Bucket(schema.BucketBatches).Cursor()
		young := 0
		for key, row := c.First(); key != nil && len(old) < limit && young < retentionYoung; key, row = c.Next() {
			b, err := schema.DecodeBatch(key, row)
			if err != nil {
				return err
			}
			if pastRetention(b, cutoff) {
				old, numbers = append(old, b), append(numbers, schema.NumberOf(key))
			}
			if young++; b.FirstAt.Before(cutoff) {
				young = 0
			}
		}
		return nil
	})
	return old, numbers, err
}

// purge deletes up to retentionStep keys: the rest of deleted batches, and counts per minute, unparsable callbacks,
// inbound messages, events and dead events older than cutoff. emptied is true if nothing is left to delete.
func (c *writeTx) purge(cutoff time.Time) (emptied bool, err error) {
	tx, room := c.tx, retentionStep
	trash := tx.Bucket(schema.BucketTrash)
	for key, _ := trash.Cursor().First(); key != nil && room > 0; key, _ = trash.Cursor().First() {
		if err := purgeBatch(tx, schema.NumberOf(key), &room); err != nil {
			return false, err
		}
	}
	if err := purgeMinutes(tx, cutoff, &room); err != nil {
		return false, err
	}
	if err := purgeQuarantine(tx, &c.quarantine, cutoff, &room); err != nil {
		return false, err
	}
	if err := purgeInbound(tx, cutoff, &room); err != nil {
		return false, err
	}
	if _, err := c.trimEvents(cutoff, c.eventRange.Next, &room); err != nil {
		return false, err
	}
	err = c.purgeDead(cutoff, &room)
	return room > 0, err
}

// purgeBatch deletes the reports and recipients of batch n, which BucketTrash lists, until *room is used up. Each
// deleted key lowers *room. If some is left, purgeBatch also deletes the entry in BucketTrash.
func purgeBatch(tx *bolt.Tx, n schema.Number, room *int) error {
	if err := deleteWhile(tx.Bucket(schema.BucketLog), n.Key(), room, nil); err != nil {
		return err
	}
	numbers := tx.Bucket(schema.BucketNumbers)
	err := deleteWhile(tx.Bucket(schema.BucketRecipients), n.Key(), room, func(key []byte) error {
		return numbers.Delete(append(schema.NumberPrefixOf(n, key), n.Key()...))
	})
	if err != nil || *room <= 0 {
		return err
	}
	return tx.Bucket(schema.BucketTrash).Delete(n.Key())
}

// deleteWhile deletes at most *room keys with the prefix and lowers *room. If visit is set, it is called before each.
func deleteWhile(b *bolt.Bucket, prefix []byte, room *int, visit func(key []byte) error) error {
	c := b.Cursor()
	for key, _ := c.Seek(prefix); bytes.HasPrefix(key, prefix) && *room > 0; key, _ = c.Seek(prefix) {
		if visit != nil {
			if err := visit(key); err != nil {
				return err
			}
		}
		if err := c.Delete(); err != nil {
			return err
		}
		*room--
	}
	return nil
}

// purgeMinutes deletes up to *room of the counts per minute older than cutoff, and lowers *room by their number.
func purgeMinutes(tx *bolt.Tx, cutoff time.Time, room *int) error {
	c := tx.Bucket(schema.BucketMinutes).Cursor()
	for key, _ := c.First(); key != nil && *room > 0 && schema.MinuteOf(key).Minute.Before(cutoff); key, _ = c.First() {
		if err := c.Delete(); err != nil {
			return err
		}
		*room--
	}
	return nil
}

// purgeQuarantine deletes at most *room unparsable callbacks older than cutoff. It subtracts them from *room and *size.
func purgeQuarantine(tx *bolt.Tx, size *quarantined, cutoff time.Time, room *int) error {
	c := tx.Bucket(schema.BucketQuarantine).Cursor()
	for key, row := c.First(); key != nil && *room > 0; key, row = c.First() {
		e, err := schema.DecodeQuarantined(key, row)
		if err != nil {
			return err
		}
		if !e.ReceivedAt.Before(cutoff) {
			break
		}
		size.entries--
		size.bytes -= len(row)
		*room--
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}
