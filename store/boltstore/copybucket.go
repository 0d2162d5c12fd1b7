package boltstore

import (
	"bytes"
	"errors"

	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// copyBucket replaces a bucket (a named table) by a copy of its rows, which repairs its search tree. found lists each
// damaged row and what was done about it.
func (c *writeTx) copyBucket(name []byte) (found []finding, err error) {
	type entry struct {
		key, row  []byte
		misplaced bool
	}
	var intact, others []entry
	old := c.tx.Bucket(name)
	err = old.ForEach(func(key, row []byte) error {
		e := entry{bytes.Clone(key), bytes.Clone(row), old.Get(key) == nil}
		if schema.Sound(c.s.decoder, name, key, row) == nil {
			intact = append(intact, e)
		} else {
			others = append(others, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := c.tx.DeleteBucket(name); err != nil {
		return nil, err
	}
	b, err := c.tx.CreateBucket(name)
	if err != nil {
		return nil, err
	}
	for _, e := range intact {
		if err := b.Put(e.key, e.row); err != nil {
			return nil, err
		}
		if e.misplaced && len(others) == 0 { // otherwise a neighbor's damaged key explains why a search missed it
			d, _ := errors.AsType[*schema.DamageError](schema.Damage(name, e.key, errMisplaced))
			found = append(found, finding{d, isCopied})
		}
	}
	for _, e := range others {
		done, err := c.putDamaged(name, e.key, e.row)
		if err != nil {
			return nil, err
		}
		d, _ := errors.AsType[*schema.DamageError](schema.Sound(c.s.decoder, name, e.key, e.row))
		found = append(found, finding{d, done})
	}
	return found, nil
}

// putDamaged puts a damaged row, corrected if possible, into the new bucket that copyBucket fills. If another row has
// its key, the damaged row is copied to BucketDamaged instead. done says what was done.
func (c *writeTx) putDamaged(bucket, key, row []byte) (done string, err error) {
	rightKey, rightRow, ok := schema.Correct(bucket, key, row)
	switch {
	case ok && schema.Sound(c.s.decoder, bucket, rightKey, rightRow) == nil:
		return isCorrected, c.putRight(bucket, rightKey, rightRow)
	case c.tx.Bucket(bucket).Get(key) != nil:
		return isAside, c.setAside(bucket, key, row)
	}
	if err := c.tx.Bucket(bucket).Put(key, row); err != nil {
		return "", err
	}
	return c.mendRow(bucket, key)
}
