package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/dlrloop/dlrloop/store"
)

const (
	// expireStep bounds the keys that one transaction of expiry deletes, so that the fold never waits long for it.
	expireStep = 2000
	// expireYoung is how many batches in a row that are too young end the search. Batches lie in the order in which they were
	// first heard of; a few may stand out after the clock was set.
	expireYoung = 100
)

// Expire deletes old batches with all that belongs to them. A batch first goes out of sight, in one small transaction;
// what belongs to it goes in further ones, which a crash may postpone to the next call.
func (s *Store) Expire(ctx context.Context, before time.Time, limit int) (hidden int, more bool, err error) {
	if s.closed.Load() {
		return 0, false, s.ended()
	}
	hidden, more, err = s.hide(before, limit)
	for emptied := false; err == nil && !emptied && ctx.Err() == nil; {
		err = s.write(func(c *writeTx) error {
			emptied, err = sweep(c.tx, &c.figures, before)
			return err
		})
	}
	if errors.Is(err, store.ErrClosed) || errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return hidden, false, s.ended()
	}
	if err != nil {
		s.met(err)
		s.trouble("expire", err)
		return hidden, false, fmt.Errorf("expire: %w", err)
	}
	return hidden, more, ctx.Err()
}

// hide takes up to limit old batches out of all indexes into the trash.
func (s *Store) hide(before time.Time, limit int) (hidden int, more bool, err error) {
	var old []*store.Batch
	var numbers []number
	if old, numbers, err = s.old(before, limit); err != nil || len(old) == 0 {
		return 0, false, err
	}
	var gone map[string]expired
	err = s.write(func(c *writeTx) error {
		tx := c.tx
		hidden, gone = 0, make(map[string]expired)
		for i, b := range old {
			n := numbers[i]
			// News may have come since it was found old.
			now, err := batchOf(tx, n)
			if err != nil || now == nil || !expires(now, before) {
				if err != nil {
					return err
				}
				continue
			}
			c.totals.plan(b.Plan).Feedback.Sub(now.Tally())
			err = errors.Join(
				tx.Bucket(bucketIDs).Delete(idKey(b.Key())),
				tx.Bucket(bucketBatches).Delete(n.key()),
				move(tx, placeOf(now, n), place{}),
				tx.Bucket(bucketTrash).Put(n.key(), nil),
			)
			if err != nil {
				return err
			}
			hidden++
			gone[b.Plan] = expired{gone[b.Plan].batches + 1, gone[b.Plan].dead + now.Feedback.Dead}
		}
		return c.totals.save(tx)
	})
	if err != nil {
		return 0, false, err
	}
	if tell := s.config.Observer.Expired; tell != nil {
		for plan, e := range gone {
			tell(plan, e.batches, e.dead)
		}
	}
	return hidden, len(old) == limit, nil
}

// expired counts what went of one plan.
type expired struct{ batches, dead int }

// expires reports whether a batch is old enough to go and has nothing to do. Dead feedback goes with it: it was shown for as
// long, and is counted when it goes.
func expires(b *store.Batch, before time.Time) bool { return b.LastAt.Before(before) && b.Task == nil }

// old finds up to limit batches that expire.
func (s *Store) old(before time.Time, limit int) (old []*store.Batch, numbers []number, err error) {
	err = s.look(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketBatches).Cursor()
		young := 0
		for key, row := c.First(); key != nil && len(old) < limit && young < expireYoung; key, row = c.Next() {
			b, err := batchIn(key, row)
			if err != nil {
				return err
			}
			if expires(b, before) {
				old, numbers = append(old, b), append(numbers, numberOf(key))
			}
			if young++; b.FirstAt.Before(before) {
				young = 0
			}
		}
		return nil
	})
	return old, numbers, err
}

// sweep deletes one step of what belongs to batches in the trash, and of counts and quarantine entries that are old. It
// returns true when nothing is left.
func sweep(tx *bolt.Tx, f *figures, before time.Time) (emptied bool, err error) {
	room := expireStep
	trash := tx.Bucket(bucketTrash)
	for key, _ := trash.Cursor().First(); key != nil && room > 0; key, _ = trash.Cursor().First() {
		n := numberOf(key)
		if err := deleteWhile(tx.Bucket(bucketLog), n.key(), &room, nil); err != nil {
			return false, err
		}
		numbers := tx.Bucket(bucketNumbers)
		err := deleteWhile(tx.Bucket(bucketRecipients), n.key(), &room, func(key []byte) error {
			return numbers.Delete(append(numberPrefixOf(n, key), n.key()...))
		})
		if err != nil {
			return false, err
		}
		if room > 0 {
			if err := trash.Delete(n.key()); err != nil {
				return false, err
			}
		}
	}
	if err := sweepMinutes(tx, before, &room); err != nil {
		return false, err
	}
	err = sweepQuarantine(tx, &f.quarantine, before, &room)
	return room > 0, err
}

// deleteWhile deletes keys with the prefix as long as there is room, and tells of each before.
func deleteWhile(b *bolt.Bucket, prefix []byte, room *int, each func(key []byte) error) error {
	c := b.Cursor()
	for key, _ := c.Seek(prefix); bytes.HasPrefix(key, prefix) && *room > 0; key, _ = c.Seek(prefix) {
		if each != nil {
			if err := each(key); err != nil {
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

// numberPrefixOf is numberPrefix for a key of bucket recipients.
func numberPrefixOf(n number, recipient []byte) []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, n.day()), recipient[8:]...), 0)
}

func sweepMinutes(tx *bolt.Tx, before time.Time, room *int) error {
	c := tx.Bucket(bucketMinutes).Cursor()
	for key, _ := c.First(); key != nil && *room > 0 && minuteOf(key).Minute.Before(before); key, _ = c.First() {
		if err := c.Delete(); err != nil {
			return err
		}
		*room--
	}
	return nil
}

func sweepQuarantine(tx *bolt.Tx, left *quarantined, before time.Time, room *int) error {
	c := tx.Bucket(bucketQuarantine).Cursor()
	for key, row := c.First(); key != nil && *room > 0; key, row = c.First() {
		e, err := decodeQuarantined(key, row)
		if err != nil {
			return err
		}
		if !e.ReceivedAt.Before(before) {
			break
		}
		left.entries--
		left.bytes -= len(row)
		*room--
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}
