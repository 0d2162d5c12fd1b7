package boltstore

import (
	"bytes"
	"errors"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/fold"
)

// These values in BucketMending say which totals recount must count again: all, or only those of feedback.
var (
	recountAll      = []byte("all")
	recountFeedback = []byte("feedback")
)

// recountLater schedules a recount of the feedback totals of all plans. It keeps a recount that is already scheduled.
func (c *writeTx) recountLater() error {
	if mendingOf(c.tx, schema.KeyTotals) != nil {
		return nil
	}
	return c.later(schema.KeyTotals, recountFeedback)
}

// recount counts the totals again from the stored rows: all totals or only those of feedback, as BucketMending says.
// Deleted batches are then no longer included.
func (s *Store) recount() error {
	return s.update(func(c *writeTx) error {
		if all := bytes.Equal(mendingOf(c.tx, schema.KeyTotals), recountAll); all {
			if err := c.countAll(); err != nil {
				return err
			}
		} else if err := c.countFeedback(); err != nil {
			return err
		}
		return errors.Join(c.totals.Save(c.tx), c.tx.Bucket(schema.BucketMending).Delete(schema.KeyTotals))
	})
}

func (c *writeTx) countFeedback() error {
	for _, t := range c.totals {
		t.Feedback = store.Tally{}
	}
	return eachBatch(c.tx, func(_ schema.Number, b *store.Batch) error {
		c.totals.Plan(b.Plan).Feedback.Add(b.Tally())
		return nil
	})
}

// countAll counts all totals of all plans again, from the stored batches, recipients and unparsable callbacks.
func (c *writeTx) countAll() error {
	c.totals = make(schema.Totals)
	recipients := c.tx.Bucket(schema.BucketRecipients).Cursor()
	err := eachBatch(c.tx, func(n schema.Number, b *store.Batch) error {
		t := c.totals.Plan(b.Plan)
		fold.AddBatch(t, b)
		for key, row := recipients.Seek(n.Key()); key != nil && schema.NumberOf(key) == n; key, row = recipients.Next() {
			t.Recipients++
			rec, _ := schema.DecodeRecipient(key, row)
			for _, report := range rec.Reports {
				t.Duplicates += report.Repeats
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.tx.Bucket(schema.BucketQuarantine).ForEach(func(key, row []byte) error {
		if q, err := schema.DecodeQuarantined(key, row); err == nil {
			c.totals.Plan(q.Plan).Quarantined++
		}
		return nil
	})
}

// eachBatch calls visit for every batch, in the order of their numbers. It skips a row that cannot be decoded, and
// stops at the first error of visit.
func eachBatch(tx *bolt.Tx, visit func(schema.Number, *store.Batch) error) error {
	return tx.Bucket(schema.BucketBatches).ForEach(func(key, row []byte) error {
		b, err := schema.DecodeBatch(key, row)
		if err != nil {
			return nil
		}
		return visit(schema.NumberOf(key), b)
	})
}
