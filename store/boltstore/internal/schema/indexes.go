package schema

import (
	"errors"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
)

// Indexes are the buckets that can be computed from other rows.
var Indexes = [][]byte{BucketIDs, BucketDue, BucketDead, BucketFetches, BucketNumbers}

// IndexKeys are the keys of one batch in the indexes due, buried and checks; nil where the batch is not listed.
type IndexKeys struct{ Due, Dead, Fetch []byte }

// IndexKeysOf returns the keys under which b must be listed.
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

// Reindex deletes the keys in from from the indexes, and adds the keys in to.
func Reindex(tx *bolt.Tx, from, to IndexKeys) error {
	return errors.Join(
		replace(tx.Bucket(BucketDue), from.Due, to.Due),
		replace(tx.Bucket(BucketDead), from.Dead, to.Dead),
		replace(tx.Bucket(BucketFetches), from.Fetch, to.Fetch),
	)
}

// replace deletes the key from and puts the key to; nil means none.
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

// Entry is one index entry.
type Entry struct{ Bucket, Key, Row []byte }

// EntriesOf returns the index entries of a batch, except those of its recipients.
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

// ReadBatch reads a batch's row. It returns nil if there is none, because retention deleted it a moment ago.
func ReadBatch(tx *bolt.Tx, n Number) (*store.Batch, error) {
	row := tx.Bucket(BucketBatches).Get(n.Key())
	if row == nil {
		return nil, nil
	}
	return DecodeBatch(n.Key(), row)
}
