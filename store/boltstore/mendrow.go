package boltstore

import (
	"bytes"
	"errors"
	"math/bits"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// mendRow corrects the row under key in bucket, sets the row aside, or lists its batch for rebuilding. done says which;
// it is empty if the rebuild will decide.
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

// remove copies row, the value under key in bucket, to BucketDamaged and deletes it from bucket.
func (c *writeTx) remove(bucket, key, row []byte) error {
	key = bytes.Clone(key)
	return errors.Join(c.setAside(bucket, key, row), c.tx.Bucket(bucket).Delete(key))
}

// putRight stores a corrected row under its correct key. If another row has that key by now, a recipient is rebuilt
// from all its reports; in other buckets, the other row is kept and the corrected row is set aside.
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

// mendMeta mends a row of BucketMeta. It writes the totals again from memory, or has them computed again if they are
// not loaded yet. It returns an error for the journal position, which is stored nowhere else, and sets any other row
// aside.
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

// later lists key, a batch number or schema.KeyTotals, in BucketMending, so that further transactions mend it. how is
// stored with key and says what to do; see recountAll and rebuilding.settle.
func (c *writeTx) later(key, how []byte) error {
	mending, err := c.tx.CreateBucketIfNotExists(schema.BucketMending)
	if err != nil {
		return err
	}
	return mending.Put(key, schema.Seal(schema.BucketMending, key, append(schema.Unsealed(len(how)), how...)))
}

// rebuildLater lists batch n in BucketMending for rebuilding, unless the bucket lists the batch already.
func (c *writeTx) rebuildLater(n schema.Number) error {
	if mendingOf(c.tx, n.Key()) != nil {
		return nil
	}
	return c.later(n.Key(), nil)
}

// mendingOf returns the text that later stored for key: nil if BucketMending does not list key, empty if later stored
// no text or the stored text is damaged.
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

// mendID corrects the entry under id in BucketIDs, or deletes the entry if no batch has that plan and id.
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

// batchWith searches the rows of all batches for the batch whose key in BucketIDs is id. It returns 0 if no batch has
// that key.
func batchWith(tx *bolt.Tx, id []byte) (found schema.Number, err error) {
	err = tx.Bucket(schema.BucketBatches).ForEach(func(key, row []byte) error {
		if b, err := schema.DecodeBatch(key, row); err == nil && bytes.Equal(schema.IDKey(b.Key()), id) {
			found = schema.NumberOf(key)
		}
		return nil
	})
	return found, err
}

// mendMissing mends the index entries that point to batch n, which has no row. It corrects wrong entries. Otherwise it
// lists the batch for rebuilding if the batch has recipients or a report log, and deletes the entries if not. done says
// what was done, or is empty.
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

// belongs reports whether batch n has any recipients or any report log.
func belongs(tx *bolt.Tx, n schema.Number) bool {
	for _, name := range [][]byte{schema.BucketRecipients, schema.BucketLog} {
		if key, _ := tx.Bucket(name).Cursor().Seek(n.Key()); key != nil && schema.NumberOf(key) == n {
			return true
		}
	}
	return false
}

// entriesTo returns copies of the keys of index that point to batch n. It reads the whole index.
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

// dropEntries deletes the entries of batch n from BucketDue, BucketDead and BucketFetches. If one flipped bit made the
// entry of another batch point to n, dropEntries corrects that entry.
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
