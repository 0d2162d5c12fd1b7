package boltstore

import (
	"bytes"
	"errors"
	"math/bits"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// mendRow corrects a damaged row, moves it to BucketDamaged, or marks its batch for rebuildAll. done says what was
// done. It is empty if the row is intact, or if the rebuild will decide.
func (c *writeTx) mendRow(bucket, key []byte) (done string, err error) {
	if bytes.Equal(bucket, schema.BucketIDs) {
		return isIndexed, c.mendID(key)
	}
	row := c.tx.Bucket(bucket).Get(key)
	switch {
	case row == nil && bytes.Equal(bucket, schema.BucketBatches):
		return c.mendMissing(schema.NumberOf(key))
	case row == nil && bytes.Equal(bucket, schema.BucketDestinations):
		return isRestarted, c.restartDestination(key)
	case row == nil && bytes.Equal(bucket, schema.BucketMeta) && bytes.Equal(key, schema.KeyEvents):
		return c.mendRange(nil)
	case row == nil:
		return isMisplaced, nil
	case schema.Sound(c.s.decoder, bucket, key, row) == nil:
		if bytes.Equal(bucket, schema.BucketBatches) {
			err = c.rebuildLater(schema.NumberOf(key)) // the row is sound, so its counts must be wrong
		}
		if bytes.Equal(bucket, schema.BucketDestinations) {
			return c.recountDestination(key)
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
	case bytes.Equal(bucket, schema.BucketDestinations):
		return isRestarted, errors.Join(c.setAside(bucket, key, row), c.restartDestination(key))
	case bytes.Equal(bucket, schema.BucketDeferred):
		destination := bytes.Clone(schema.DestinationOf(key))
		if err := c.remove(bucket, key, row); err != nil {
			return "", err
		}
		_, err := c.recountDestination(destination)
		return isAside, err
	case bytes.Equal(bucket, schema.BucketQuarantine):
		c.quarantine.entries--
		c.quarantine.bytes -= len(row)
	}
	return isAside, c.remove(bucket, key, row)
}

// remove moves a row from its bucket to BucketDamaged, where support can inspect it.
func (c *writeTx) remove(bucket, key, row []byte) error {
	key = bytes.Clone(key)
	return errors.Join(c.setAside(bucket, key, row), c.tx.Bucket(bucket).Delete(key))
}

// putRight stores a corrected row under its key. If another row has that key, the corrected row is copied to
// BucketDamaged instead. For a recipient, the other row is moved there too, and the batch is rebuilt later.
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

// mendMeta mends a row of BucketMeta. Totals are written again from memory or, before they are loaded, counted again
// later. The range of the event log is written again from memory or, before it is loaded, taken from the rows. A
// damaged journal position is an error: it cannot be restored. Any other row goes to BucketDamaged.
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
	if bytes.Equal(key, schema.KeyEvents) {
		return c.mendRange(row)
	}
	err = c.remove(schema.BucketMeta, key, row)
	if !c.s.loaded && c.tx.Bucket(schema.BucketMeta).Get(schema.KeyTotals) == nil {
		err = errors.Join(err, c.later(schema.KeyTotals, recountAll)) // it was the totals' row, under a damaged key
	}
	if !c.s.loaded && c.tx.Bucket(schema.BucketMeta).Get(schema.KeyEvents) == nil {
		_, rangeErr := c.mendRange(nil) // or that of the event log
		err = errors.Join(err, rangeErr)
	}
	return isAside, err
}

// later makes a later transaction mend a batch or the totals, by an entry in BucketMending. key is the batch's number
// or schema.KeyTotals. request, which may be empty, says how: see recountAll and rebuilding.settle.
func (c *writeTx) later(key, request []byte) error {
	mending, err := c.tx.CreateBucketIfNotExists(schema.BucketMending)
	if err != nil {
		return err
	}
	return mending.Put(key, schema.Seal(schema.BucketMending, key, append(schema.Unsealed(len(request)), request...)))
}

// rebuildLater marks batch n for rebuildAll, by an entry in BucketMending. It does not change an existing entry.
func (c *writeTx) rebuildLater(n schema.Number) error {
	if mendingOf(c.tx, n.Key()) != nil {
		return nil
	}
	return c.later(n.Key(), nil)
}

// mendingOf returns what BucketMending, the list of what to mend, holds for a batch or the totals. It returns nil if
// there is no entry, and an empty slice if the entry is empty or damaged.
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

// mendID corrects the batch number in an entry of BucketIDs. If no batch has this plan and id, it deletes the entry.
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

// batchWith returns the number of the batch whose plan and id make this key of BucketIDs, or 0 if there is none. It
// reads the rows of all batches.
func batchWith(tx *bolt.Tx, id []byte) (found schema.Number, err error) {
	err = tx.Bucket(schema.BucketBatches).ForEach(func(key, row []byte) error {
		if b, err := schema.DecodeBatch(key, row); err == nil && bytes.Equal(schema.IDKey(b.Key()), id) {
			found = schema.NumberOf(key)
		}
		return nil
	})
	return found, err
}

// mendMissing handles index entries that point to batch n although it has no row. It corrects entries of another batch.
// Otherwise it marks batch n for rebuildAll if it has recipients or reports, and deletes the entries if not. done says
// what was done. It is empty if nothing was, or if the rebuild will decide.
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

// belongs reports whether any recipients or reports of batch n are stored.
func belongs(tx *bolt.Tx, n schema.Number) bool {
	for _, name := range [][]byte{schema.BucketRecipients, schema.BucketLog} {
		if key, _ := tx.Bucket(name).Cursor().Seek(n.Key()); key != nil && schema.NumberOf(key) == n {
			return true
		}
	}
	return false
}

// entriesTo returns copies of the keys of all index entries that point to batch n. It reads the whole index.
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

// dropEntries deletes the entries of batch n in the indexes BucketDue, BucketDead and BucketFetches. If an entry has
// this number only because of a flipped bit, it is corrected instead.
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
