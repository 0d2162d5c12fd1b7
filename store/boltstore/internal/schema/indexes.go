package schema

import (
	"errors"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
)

// Indexes lists the buckets whose entries can be computed again from the rows of BucketBatches, BucketRecipients and
// BucketInbound.
var Indexes = [][]byte{
	BucketIDs, BucketDue, BucketDead, BucketFetches, BucketNumbers, BucketInboundTimes, BucketInboundNumbers,
}

// IndexKeys holds the keys of one batch in BucketDue (Due), BucketDead (Dead) and BucketFetches (Fetch). A key is nil
// if that index does not list the batch.
type IndexKeys struct{ Due, Dead, Fetch []byte }

// IndexKeysOf returns the keys under which the indexes must list batch b, which has number n.
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

// Reindex updates the indexes after a change of a batch. Pass the IndexKeys of the batch from before and from after the
// change. The transaction must be writable.
func Reindex(tx *bolt.Tx, before, after IndexKeys) error {
	return errors.Join(
		replace(tx.Bucket(BucketDue), before.Due, after.Due),
		replace(tx.Bucket(BucketDead), before.Dead, after.Dead),
		replace(tx.Bucket(BucketFetches), before.Fetch, after.Fetch),
	)
}

// replace deletes the stale key from an index and adds the fresh key with an empty value. It skips a nil key.
func replace(index *bolt.Bucket, stale, fresh []byte) error {
	if slices.Equal(stale, fresh) {
		return nil
	}
	if stale != nil {
		if err := index.Delete(stale); err != nil {
			return err
		}
	}
	if fresh != nil {
		return index.Put(fresh, nil)
	}
	return nil
}

// Entry is one entry of an index: the index's bucket, the key, and the value under the key. The value is a batch number
// in BucketIDs, and nil in every other index.
type Entry struct{ Bucket, Key, Row []byte }

// EntriesOf returns the entries that the indexes must hold for batch b, which has number n. It leaves out the entries
// of the batch's recipients in BucketNumbers.
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

// ReadBatch reads the row of batch n. If there is no row, because retention has deleted the batch, it returns nil
// without an error. If the row is damaged, it returns a *DamageError.
func ReadBatch(tx *bolt.Tx, n Number) (*store.Batch, error) {
	row := tx.Bucket(BucketBatches).Get(n.Key())
	if row == nil {
		return nil, nil
	}
	return DecodeBatch(n.Key(), row)
}
