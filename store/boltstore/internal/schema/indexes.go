package schema

import (
	"errors"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
)

// Indexes lists the buckets whose entries can be computed again from the rows of BucketBatches and BucketRecipients.
var Indexes = [][]byte{BucketIDs, BucketDue, BucketDead, BucketFetches, BucketNumbers}

// IndexKeys holds the keys of one batch in BucketDue (Due), BucketDead (Dead) and BucketFetches (Fetch). A key is nil
// if that index does not list the batch.
type IndexKeys struct{ Due, Dead, Fetch []byte }

// IndexKeysOf returns the keys that the indexes must hold for batch b. n is the number of b.
func IndexKeysOf(b *store.Batch, n Number) (p IndexKeys) {
	if b.Task != nil {
		p.Due = DueKey(b.Plan, b.Task.Due, n)
	}
	if b.Dead != nil {
		p.Dead = deadKey(b.Plan, n)
	}
	if b.Fetch != nil && !b.Fetch.Due.IsZero() {
		p.Fetch = DueKey(b.Plan, b.Fetch.Due, n)
	}
	return p
}

// Reindex deletes the keys in from from the indexes and adds the keys in to. Pass the IndexKeys of a batch before and
// after its change, and a write transaction.
func Reindex(tx *bolt.Tx, from, to IndexKeys) error {
	return errors.Join(
		replace(tx.Bucket(BucketDue), from.Due, to.Due),
		replace(tx.Bucket(BucketDead), from.Dead, to.Dead),
		replace(tx.Bucket(BucketFetches), from.Fetch, to.Fetch),
	)
}

// replace deletes the key from in b and adds the key to with an empty value. It skips a nil key.
func replace(b *bolt.Bucket, from, to []byte) error {
	if slices.Equal(from, to) {
		return nil
	}
	if from != nil {
		if err := b.Delete(from); err != nil {
			return err
		}
	}
	if to != nil {
		return b.Put(to, nil)
	}
	return nil
}

// Entry is one entry of an index: the index's bucket, the key, and the value under the key. The value is a batch number
// in BucketIDs, and nil in every other index.
type Entry struct{ Bucket, Key, Row []byte }

// EntriesOf returns the entries that the indexes must hold for batch b, except the entries of its recipients in
// BucketNumbers. n is the number of b.
func EntriesOf(n Number, b *store.Batch) []Entry {
	entries := []Entry{{BucketIDs, IDKey(b.Key()), n.Key()}}
	at := IndexKeysOf(b, n)
	for _, e := range []Entry{
		{BucketDue, at.Due, nil}, {BucketDead, at.Dead, nil}, {BucketFetches, at.Fetch, nil},
	} {
		if e.Key != nil {
			entries = append(entries, e)
		}
	}
	return entries
}

// ReadBatch reads the row of batch n. It returns nil without an error if the batch has no row, because retention has
// deleted the batch, and a *DamageError if the row is damaged.
func ReadBatch(tx *bolt.Tx, n Number) (*store.Batch, error) {
	row := tx.Bucket(BucketBatches).Get(n.Key())
	if row == nil {
		return nil, nil
	}
	return DecodeBatch(n.Key(), row)
}
