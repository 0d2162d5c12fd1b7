package boltstore

import (
	"bytes"
	"errors"
	"math/bits"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// mendRow corrects a row, sets it aside, or marks its batch for rebuilding. done describes the outcome; it is empty if
// the rebuild will decide it.
func (c *writeTx) mendRow(bucket, key []byte) (done string, err error) {
	if bytes.Equal(bucket, schema.BucketIDs) {
		return isIndexed, c.mendID(key)
	}
	row := c.tx.Bucket(bucket).Get(key)
	switch {
	case row == nil && bytes.Equal(bucket, schema.BucketBatches):
		return c.mendMissing(schema.NumberOf(key))
	case row == nil:
		return isMisplaced, nil
	case schema.Sound(c.s.decoder, bucket, key, row) == nil:
		if bytes.Equal(bucket, schema.BucketBatches) {
			err = c.rebuildLater(schema.NumberOf(key)) // the row is sound, so its counts must be wrong
		}
		return "", err
	}
	rightKey, rightRow, ok := schema.Correct(bucket, key, row)
	if ok && schema.Sound(c.s.decoder, bucket, rightKey, rightRow) == nil {
		if !bytes.Equal(key, rightKey) {
			return isMisplaced, nil
		}
		return isCorrected, c.tx.Bucket(bucket).Put(rightKey, rightRow)
	}
	switch {
	case schema.NumberOf(key) != 0 && ofBatch(bucket):
		return "", c.rebuildLater(schema.NumberOf(key))
	case bytes.Equal(bucket, schema.BucketMeta):
		return c.mendMeta(key, row)
	case bytes.Equal(bucket, schema.BucketQuarantine):
		c.quarantine.entries--
		c.quarantine.bytes -= len(row)
	}
	return isAside, c.remove(bucket, key, row)
}

// remove sets a row aside and deletes it.
func (c *writeTx) remove(bucket, key, row []byte) error {
	key = bytes.Clone(key)
	return errors.Join(c.setAside(bucket, key, row), c.tx.Bucket(bucket).Delete(key))
}

// putRight stores a corrected row under its correct key. If another row has that key by now, a recipient is rebuilt
// from all its reports; in other buckets that row is kept and the corrected one set aside.
func (c *writeTx) putRight(bucket, key, row []byte) error {
	b := c.tx.Bucket(bucket)
	newer := b.Get(key)
	switch {
	case newer == nil:
		return b.Put(key, row)
	case bytes.Equal(bucket, schema.BucketRecipients):
		return errors.Join(c.setAside(bucket, key, row), c.remove(bucket, key, newer), c.rebuildLater(schema.NumberOf(key)))
	}
	return c.setAside(bucket, key, row)
}

// mendMeta mends a row of bucket meta. The totals are written again from memory, or recomputed if they are not loaded.
// The journal position exists nowhere else, so its loss is an error. Any other row is set aside.
func (c *writeTx) mendMeta(key, row []byte) (done string, err error) {
	switch {
	case bytes.Equal(key, schema.KeyPosition):
		return "", schema.Damage(schema.BucketMeta, key, errors.New("it is the journal position: "+remedy))
	case bytes.Equal(key, schema.KeyTotals) && c.s.loaded:
		return "it is written again", c.totals.Save(c.tx)
	case bytes.Equal(key, schema.KeyTotals):
		err = errors.Join(c.remove(schema.BucketMeta, key, row), c.later(schema.KeyTotals, recountAll))
		return "the totals are computed again", err
	}
	err = c.remove(schema.BucketMeta, key, row)
	if !c.s.loaded && c.tx.Bucket(schema.BucketMeta).Get(schema.KeyTotals) == nil {
		err = errors.Join(err, c.later(schema.KeyTotals, recountAll)) // it was the totals' row, under a damaged key
	}
	return isAside, err
}

// later notes in bucket mending that further transactions must mend key: a batch number, or schema.KeyTotals. how
// says what to do.
func (c *writeTx) later(key, how []byte) error {
	mending, err := c.tx.CreateBucketIfNotExists(schema.BucketMending)
	if err != nil {
		return err
	}
	return mending.Put(key, schema.Seal(schema.BucketMending, key, append(schema.Unsealed(len(how)), how...)))
}

// rebuildLater marks a batch for rebuilding, unless it is marked already.
func (c *writeTx) rebuildLater(n schema.Number) error {
	if mendingOf(c.tx, n.Key()) != nil {
		return nil
	}
	return c.later(n.Key(), nil)
}

// mendingOf returns what later stored for a key: nil if nothing, empty if the entry itself is damaged.
func mendingOf(tx *bolt.Tx, key []byte) []byte {
	mending := tx.Bucket(schema.BucketMending)
	if mending == nil {
		return nil
	}
	row := mending.Get(key)
	if row == nil {
		return nil
	}
	if content, err := schema.Unseal(schema.BucketMending, key, row); err == nil {
		return append([]byte{}, content...)
	}
	return []byte{}
}

// mendID corrects an entry of bucket ids, or deletes it if no batch has that plan and id.
func (c *writeTx) mendID(id []byte) error {
	n, err := batchWith(c.tx, id)
	switch {
	case err != nil:
		return err
	case n == 0:
		return c.tx.Bucket(schema.BucketIDs).Delete(id)
	}
	return c.tx.Bucket(schema.BucketIDs).Put(id, n.Key())
}

// batchWith searches all batches for the one whose key in bucket ids is id. It returns 0 if there is none.
func batchWith(tx *bolt.Tx, id []byte) (found schema.Number, err error) {
	err = tx.Bucket(schema.BucketBatches).ForEach(func(key, row []byte) error {
		if b, err := schema.DecodeBatch(key, row); err == nil && bytes.Equal(schema.IDKey(b.Key()), id) {
			found = schema.NumberOf(key)
		}
		return nil
	})
	return found, err
}

// mendMissing mends index entries that point to a batch without a row. It corrects wrong entries; else it marks the
// batch for rebuilding if it has recipients or a report log, or deletes the entries.
func (c *writeTx) mendMissing(n schema.Number) (done string, err error) {
	for _, id := range entriesTo(c.tx, schema.BucketIDs, n) {
		right, err := batchWith(c.tx, id)
		if err != nil {
			return "", err
		}
		if right != 0 {
			return isIndexed, errors.Join(c.tx.Bucket(schema.BucketIDs).Put(id, right.Key()), c.dropEntries(n))
		}
	}
	if belongs(c.tx, n) {
		return "", c.rebuildLater(n)
	}
	for _, index := range [][]byte{schema.BucketIDs, schema.BucketDue, schema.BucketDead, schema.BucketFetches} {
		if len(entriesTo(c.tx, index, n)) > 0 {
			done = isIndexed
		}
	}
	for _, id := range entriesTo(c.tx, schema.BucketIDs, n) {
		err = errors.Join(err, c.remove(schema.BucketIDs, id, n.Key()))
	}
	return done, errors.Join(err, c.dropEntries(n))
}

// belongs reports whether the batch has recipients or a report log.
func belongs(tx *bolt.Tx, n schema.Number) bool {
	for _, name := range [][]byte{schema.BucketRecipients, schema.BucketLog} {
		if key, _ := tx.Bucket(name).Cursor().Seek(n.Key()); key != nil && schema.NumberOf(key) == n {
			return true
		}
	}
	return false
}

// entriesTo returns the keys of an index that point to a batch.
func entriesTo(tx *bolt.Tx, index []byte, n schema.Number) (keys [][]byte) {
	ids := bytes.Equal(index, schema.BucketIDs)
	c := tx.Bucket(index).Cursor()
	for key, row := c.First(); key != nil; key, row = c.Next() {
		if ids && len(row) == 8 && schema.NumberOf(row) == n || !ids && len(key) >= 8 && schema.TrailingNumber(key) == n {
			keys = append(keys, bytes.Clone(key))
		}
	}
	return keys
}

// dropEntries deletes the entries of a batch from the indexes of tasks, dead feedback and fetches. An entry that belongs to another
// batch, whose number differs in one flipped bit, is corrected.
func (c *writeTx) dropEntries(n schema.Number) error {
	for _, name := range [][]byte{schema.BucketDue, schema.BucketDead, schema.BucketFetches} {
		for _, key := range entriesTo(c.tx, name, n) {
			if err := c.tx.Bucket(name).Delete(key); err != nil {
				return err
			}
			for bit := range bits.UintSize {
				other := n ^ 1<<bit
				right := append(bytes.Clone(key[:len(key)-8]), other.Key()...)
				b, err := schema.ReadBatch(c.tx, other)
				if err != nil || b == nil {
					continue
				}
				at := schema.IndexKeysOf(b, other)
				if !bytes.Equal(right, at.Due) && !bytes.Equal(right, at.Dead) && !bytes.Equal(right, at.Fetch) {
					continue
				}
				if err := c.tx.Bucket(name).Put(right, nil); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
