package boltstore

import (
	"bytes"
	"errors"
	"math/bits"

	bolt "go.etcd.io/bbolt"
)

// mendRow corrects a row, sets it aside, or marks its batch for rebuilding. done describes the outcome; it is empty if
// the rebuild will decide it.
func (c *writeTx) mendRow(bucket, key []byte) (done string, err error) {
	if bytes.Equal(bucket, bucketIDs) {
		return isIndexed, c.mendID(key)
	}
	row := c.tx.Bucket(bucket).Get(key)
	switch {
	case row == nil && bytes.Equal(bucket, bucketBatches):
		return c.mendMissing(numberOf(key))
	case row == nil:
		return isMisplaced, nil
	case c.s.sound(bucket, key, row) == nil:
		if bytes.Equal(bucket, bucketBatches) {
			err = c.rebuildLater(numberOf(key)) // the row is sound, so its counts must be wrong
		}
		return "", err
	}
	rightKey, rightRow, ok := correct(bucket, key, row)
	if ok && c.s.sound(bucket, rightKey, rightRow) == nil {
		if !bytes.Equal(key, rightKey) {
			return isMisplaced, nil
		}
		return isCorrected, c.tx.Bucket(bucket).Put(rightKey, rightRow)
	}
	switch {
	case numberOf(key) != 0 && (bytes.Equal(bucket, bucketBatches) || bytes.Equal(bucket, bucketRecipients)):
		return "", c.rebuildLater(numberOf(key))
	case bytes.Equal(bucket, bucketMeta):
		return c.mendMeta(key, row)
	case bytes.Equal(bucket, bucketQuarantine):
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
	case bytes.Equal(bucket, bucketRecipients):
		return errors.Join(c.setAside(bucket, key, row), c.remove(bucket, key, newer), c.rebuildLater(numberOf(key)))
	}
	return c.setAside(bucket, key, row)
}

// mendMeta mends a row of bucket meta. The totals are written again from memory, or recomputed if they are not loaded.
// The journal position exists nowhere else, so its loss is an error. Any other row is set aside.
func (c *writeTx) mendMeta(key, row []byte) (done string, err error) {
	switch {
	case bytes.Equal(key, keyPosition):
		return "", damage(bucketMeta, key, errors.New("it is the journal position: "+remedy))
	case bytes.Equal(key, keyTotals) && c.s.loaded:
		return "it is written again", c.totals.save(c.tx)
	case bytes.Equal(key, keyTotals):
		err = errors.Join(c.remove(bucketMeta, key, row), c.later(keyTotals, recountAll))
		return "the totals are computed again", err
	}
	err = c.remove(bucketMeta, key, row)
	if !c.s.loaded && c.tx.Bucket(bucketMeta).Get(keyTotals) == nil {
		err = errors.Join(err, c.later(keyTotals, recountAll)) // it was the totals' row, under a damaged key
	}
	return isAside, err
}

// later notes in bucket mending that further transactions must mend key: a batch number, or keyTotals. how says what
// to do.
func (c *writeTx) later(key, how []byte) error {
	mending, err := c.tx.CreateBucketIfNotExists(bucketMending)
	if err != nil {
		return err
	}
	return mending.Put(key, seal(bucketMending, key, append(unsealed(len(how)), how...)))
}

// rebuildLater marks a batch for rebuilding, unless it is marked already.
func (c *writeTx) rebuildLater(n number) error {
	if mendingOf(c.tx, n.key()) != nil {
		return nil
	}
	return c.later(n.key(), nil)
}

// mendingOf returns what later stored for a key: nil if nothing, empty if the entry itself is damaged.
func mendingOf(tx *bolt.Tx, key []byte) []byte {
	mending := tx.Bucket(bucketMending)
	if mending == nil {
		return nil
	}
	row := mending.Get(key)
	if row == nil {
		return nil
	}
	if content, err := unseal(bucketMending, key, row); err == nil {
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
		return c.tx.Bucket(bucketIDs).Delete(id)
	}
	return c.tx.Bucket(bucketIDs).Put(id, n.key())
}

// batchWith searches all batches for the one whose key in bucket ids is id. It returns 0 if there is none.
func batchWith(tx *bolt.Tx, id []byte) (found number, err error) {
	err = tx.Bucket(bucketBatches).ForEach(func(key, row []byte) error {
		if b, err := batchIn(key, row); err == nil && bytes.Equal(idKey(b.Key()), id) {
			found = numberOf(key)
		}
		return nil
	})
	return found, err
}

// mendMissing mends index entries that point to a batch without a row. It corrects wrong entries; else it marks the
// batch for rebuilding if it has recipients or a report log, or deletes the entries.
func (c *writeTx) mendMissing(n number) (done string, err error) {
	for _, id := range entriesTo(c.tx, bucketIDs, n) {
		right, err := batchWith(c.tx, id)
		if err != nil {
			return "", err
		}
		if right != 0 {
			return isIndexed, errors.Join(c.tx.Bucket(bucketIDs).Put(id, right.key()), c.dropEntries(n))
		}
	}
	if belongs(c.tx, n) {
		return "", c.rebuildLater(n)
	}
	for _, index := range [][]byte{bucketIDs, bucketDue, bucketBuried, bucketChecks} {
		if len(entriesTo(c.tx, index, n)) > 0 {
			done = isIndexed
		}
	}
	for _, id := range entriesTo(c.tx, bucketIDs, n) {
		err = errors.Join(err, c.remove(bucketIDs, id, n.key()))
	}
	return done, errors.Join(err, c.dropEntries(n))
}

// belongs reports whether the batch has recipients or a report log.
func belongs(tx *bolt.Tx, n number) bool {
	for _, name := range [][]byte{bucketRecipients, bucketLog} {
		if key, _ := tx.Bucket(name).Cursor().Seek(n.key()); key != nil && numberOf(key) == n {
			return true
		}
	}
	return false
}

// entriesTo returns the keys of an index that point to a batch.
func entriesTo(tx *bolt.Tx, index []byte, n number) (keys [][]byte) {
	ids := bytes.Equal(index, bucketIDs)
	c := tx.Bucket(index).Cursor()
	for key, row := c.First(); key != nil; key, row = c.Next() {
		if ids && len(row) == 8 && numberOf(row) == n || !ids && len(key) >= 8 && trailing(key) == n {
			keys = append(keys, bytes.Clone(key))
		}
	}
	return keys
}

// dropEntries deletes the entries of a batch from the indexes due, buried and checks. An entry that belongs to another
// batch, whose number differs in one flipped bit, is corrected.
func (c *writeTx) dropEntries(n number) error {
	for _, name := range [][]byte{bucketDue, bucketBuried, bucketChecks} {
		for _, key := range entriesTo(c.tx, name, n) {
			if err := c.tx.Bucket(name).Delete(key); err != nil {
				return err
			}
			for bit := range bits.UintSize {
				other := n ^ 1<<bit
				right := append(bytes.Clone(key[:len(key)-8]), other.key()...)
				b, err := batchOf(c.tx, other)
				if err != nil || b == nil {
					continue
				}
				at := indexKeysOf(b, other)
				if !bytes.Equal(right, at.due) && !bytes.Equal(right, at.buried) && !bytes.Equal(right, at.check) {
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
