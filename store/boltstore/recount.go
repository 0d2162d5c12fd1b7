package boltstore

import (
	"bytes"
	"errors"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
)

// Values in bucket mending for the totals: what must be computed again.
var (
	recountAll      = []byte("all")
	recountFeedback = []byte("feedback")
)

// recountLater marks the feedback totals of all plans for recomputation, because the counts of a lost row are unknown.
func (c *writeTx) recountLater() error {
	if mendingOf(c.tx, keyTotals) != nil {
		return nil
	}
	return c.later(keyTotals, recountFeedback)
}

// recount computes totals from the stored rows. They do not include what retention has deleted.
func (s *Store) recount() error {
	return s.update(func(c *writeTx) error {
		if all := bytes.Equal(mendingOf(c.tx, keyTotals), recountAll); all {
			if err := c.countAll(); err != nil {
				return err
			}
		} else if err := c.countFeedback(); err != nil {
			return err
		}
		return errors.Join(c.totals.save(c.tx), c.tx.Bucket(bucketMending).Delete(keyTotals))
	})
}

// countFeedback computes the feedback totals of all plans.
func (c *writeTx) countFeedback() error {
	for _, t := range c.totals {
		t.Feedback = store.Tally{}
	}
	return eachBatch(c.tx, func(_ number, b *store.Batch) error {
		c.totals.plan(b.Plan).Feedback.Add(b.Tally())
		return nil
	})
}

// countAll computes all totals.
func (c *writeTx) countAll() error {
	c.totals = make(totals)
	recipients := c.tx.Bucket(bucketRecipients).Cursor()
	err := eachBatch(c.tx, func(n number, b *store.Batch) error {
		t := c.totals.plan(b.Plan)
		t.AddBatch(b)
		for key, row := recipients.Seek(n.key()); key != nil && numberOf(key) == n; key, row = recipients.Next() {
			t.Recipients++
			rec, _ := recipientIn(key, row)
			for _, seen := range rec.Seen {
				t.Duplicates += seen.Repeats
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.tx.Bucket(bucketQuarantine).ForEach(func(key, row []byte) error {
		if q, err := decodeQuarantined(key, row); err == nil {
			c.totals.plan(q.Plan).Quarantined++
		}
		return nil
	})
}

// eachBatch calls visit for every batch whose row can be read.
func eachBatch(tx *bolt.Tx, visit func(number, *store.Batch) error) error {
	return tx.Bucket(bucketBatches).ForEach(func(key, row []byte) error {
		b, err := batchIn(key, row)
		if err != nil {
			return nil
		}
		return visit(numberOf(key), b)
	})
}
