package boltstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/fold"
)

// eraseLog is how many bytes the report logs may have, at most, that one write transaction of Erase reads.
const eraseLog = 128 << 10

// mendWait is how long Erase waits until a batch is rebuilt before it returns ErrBusy.
const mendWait = 3 * time.Second

// errMending means that foldLoop is rebuilding a batch, and would overwrite changes of its row.
var errMending = fmt.Errorf("%w: a batch is being rebuilt", store.ErrBusy)

// batches erases the number from all batches that have a recipient with it: first from their report logs, and then from
// the rows by which a later call finds the batch, so that such a call completes an interrupted one.
func (e *eraser) batches(ctx context.Context) error {
	for bound := ^schema.Number(0); ; {
		group, long, err := e.nextBatches(bound)
		if err != nil || len(group) == 0 {
			return err
		}
		bound = group[len(group)-1]
		var from []byte
		if long != nil {
			if from, err = e.replace(ctx, e.log(bound, long)); err != nil {
				return err
			}
		}
		if err := e.finish(ctx, group, from); err != nil {
			return err
		}
	}
}

// nextBatches returns the next batches with a number less than bound that have a recipient with the phone number, as
// many as one write transaction can change. If the report log of the first batch is too long for that, it returns only
// this one, and its key as long.
func (e *eraser) nextBatches(bound schema.Number) (group []schema.Number, long *store.BatchKey, err error) {
	err = e.s.viewFolded(func(tx *bolt.Tx) error {
		room := eraseLog
		return eachNumber(tx, e.number.Digits(), bound, func(n schema.Number) (more bool, err error) {
			c := tx.Bucket(schema.BucketLog).Cursor()
			for at, row := c.Seek(n.Key()); at != nil && schema.NumberOf(at) == n && room >= 0; at, row = c.Next() {
				room -= len(row)
			}
			if room >= 0 {
				group = append(group, n)
				return len(group) < eraseRows, nil
			}
			if len(group) > 0 {
				return false, nil
			}
			group = append(group, n)
			b, err := schema.ReadBatch(tx, n)
			if b != nil {
				key := b.Key()
				long = &key
			}
			return false, err
		})
	})
	return group, long, err
}

// log describes the rows of the report log of batch n, which has this key.
func (e *eraser) log(n schema.Number, key *store.BatchKey) rows {
	return rows{
		bucket: schema.BucketLog, prefix: n.Key(),
		names: func(at, row []byte) (bool, error) {
			reports, err := schema.Unpack(e.s.decoder, at, row)
			return err == nil && e.eraseReports(*key, reports) > 0, err
		},
		change: func(c *writeTx, at, row []byte) error { return e.changeLog(c, *key, at, row) },
	}
}

// finish erases the number from the batches of a group. In the report log of the first batch, it begins with the key
// from, unless that is nil. If a batch is being rebuilt, it waits.
func (e *eraser) finish(ctx context.Context, group []schema.Number, from []byte) error {
	for waited := time.Duration(0); len(group) > 0; {
		left, next := group, from
		err := e.write(ctx, func(c *writeTx) error {
			left, next = group, from
			for ended := true; ended && len(left) > 0; {
				var err error
				if ended, err = e.finishBatch(c, left[0], &next); err != nil {
					return err
				}
				if ended {
					left, next = left[1:], nil
				}
			}
			return c.totals.Save(c.tx)
		})
		if errors.Is(err, errMending) && waited < mendWait {
			const step = 20 * time.Millisecond
			waited += step
			if err := pause(ctx, step); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		group, from = left, next
	}
	return nil
}

// eraseReports replaces the bodies of reports of a batch that contain the number, and returns how many it has replaced.
func (e *eraser) eraseReports(key store.BatchKey, reports []store.Logged) (replaced int) {
	for i := range reports {
		if body, changed := e.body(key, reports[i].Raw); changed {
			reports[i].Raw = body
			replaced++
		}
	}
	return replaced
}

// body returns the body of a callback without the number, and whether that changed it.
func (e *eraser) body(key store.BatchKey, raw []byte) (body []byte, changed bool) {
	if len(raw) == 0 {
		return raw, false
	}
	body = e.number.Body(key, raw)
	return body, len(body) == 0 || &body[0] != &raw[0]
}

// changeLog erases the number from one row of the report log of a batch. Each report keeps its place in the row.
func (e *eraser) changeLog(c *writeTx, key store.BatchKey, at, row []byte) error {
	reports, err := schema.Unpack(e.s.decoder, at, row)
	if err != nil {
		return err
	}
	replaced := e.eraseReports(key, reports)
	if replaced == 0 {
		return nil
	}
	e.counted.Reports += replaced
	return c.tx.Bucket(schema.BucketLog).Put(at, c.s.compressor.Pack(at, reports))
}

// finishBatch erases the number from the report log of batch n, beginning with the key *from, and then from the rows of
// the recipient and the batch. If the log is too long for one transaction, it moves *from, and ended is false.
func (e *eraser) finishBatch(c *writeTx, n schema.Number, from *[]byte) (ended bool, err error) {
	if mendingOf(c.tx, n.Key()) != nil {
		return false, errMending
	}
	b, err := schema.ReadBatch(c.tx, n)
	if err != nil {
		return false, err
	}
	if b == nil {
		return e.finishDeleted(c, n)
	}
	key := b.Key()
	log := e.log(n, &key)
	if *from == nil {
		*from = log.prefix
	}
	found, end, more, err := e.find(c.tx, log, *from)
	if err != nil {
		return false, err
	}
	for _, at := range found {
		if err := log.change(c, at, c.tx.Bucket(schema.BucketLog).Get(at)); err != nil {
			return false, err
		}
	}
	if *from = end; more {
		return false, nil
	}
	return true, e.rename(c, n, b)
}

// finishDeleted handles an entry of the index of phone numbers whose batch has no row. If retention has deleted the
// batch, it deletes the rest of it. ended is false if that takes another transaction.
func (e *eraser) finishDeleted(c *writeTx, n schema.Number) (ended bool, err error) {
	if c.tx.Bucket(schema.BucketTrash).Get(n.Key()) != nil {
		room := retentionStep
		err := purgeBatch(c.tx, n, &room)
		return room > 0, err
	}
	key := schema.RecipientKey(n, e.number.Digits())
	if c.tx.Bucket(schema.BucketRecipients).Get(key) != nil {
		return false, schema.Damage(schema.BucketBatches, n.Key(), errMissing)
	}
	return true, c.tx.Bucket(schema.BucketNumbers).Delete(schema.NumberKeyOf(key))
}

// rename gives the recipient of batch b a name in place of the number: in the key of its row, in the index of phone
// numbers, and in the batch's row, whose indexes and totals follow.
func (e *eraser) rename(c *writeTx, n schema.Number, b *store.Batch) error {
	key := schema.RecipientKey(n, e.number.Digits())
	numbers, recipients := c.tx.Bucket(schema.BucketNumbers), c.tx.Bucket(schema.BucketRecipients)
	r, err := recipientOf(c.tx, n, e.number.Digits())
	if errors.Is(err, store.ErrNotFound) {
		return numbers.Delete(schema.NumberKeyOf(key)) // the row was damaged and set aside
	}
	if err != nil {
		return err
	}
	before, name := schema.IndexKeysOf(b, n), e.number.Name(b.Key())
	c.totals.Apply(fold.Erase(b, r, name))
	e.number.Batch(b)
	renamed := schema.RecipientKey(n, name)
	e.counted.Recipients++
	return errors.Join(
		recipients.Delete(key),
		recipients.Put(renamed, schema.SealRecipient(renamed, r)),
		numbers.Delete(schema.NumberKeyOf(key)),
		numbers.Put(schema.NumberKeyOf(renamed), nil),
		c.tx.Bucket(schema.BucketBatches).Put(n.Key(), schema.SealBatch(n, b)),
		schema.Reindex(c.tx, before, schema.IndexKeysOf(b, n)),
	)
}
