package boltstore

import (
	"iter"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// indexes compares the indexes of tasks, dead feedback and fetches with the batches, key by key, and the result of
// MissingReports with the batches' Fetch.
func (a *audit) indexes() {
	want := map[string][]string{}
	for plan, batches := range a.batches {
		var due []string
		for _, b := range batches {
			require.Equal(a.t, b.Info != nil, b.Fetch != nil,
				"batch %s: a batch with info must have a ReportFetch, since its reports are never complete", b.ID)
			if b.Fetch != nil && !b.Fetch.Due.IsZero() {
				due = append(due, b.ID)
			}
		}
		missing, err := a.s.MissingReports(a.ctx, plan, noon.AddDate(1, 0, 0), 1000)
		require.NoError(a.t, err)
		var listed []string
		for _, b := range missing {
			listed = append(listed, b.ID)
		}
		require.ElementsMatch(a.t, due, listed, "batches that MissingReports returns for plan %s", plan)
	}
	require.NoError(a.t, a.s.db.View(func(tx *bolt.Tx) error {
		found := map[string][]string{}
		for _, name := range [][]byte{schema.BucketDue, schema.BucketDead, schema.BucketFetches} {
			for key := range keysOf(tx.Bucket(name)) {
				found[string(name)] = append(found[string(name)], key)
			}
		}
		for _, batches := range a.batches {
			for _, b := range batches {
				n, err := find(tx, b.Key())
				require.NoError(a.t, err)
				keys := schema.IndexKeysOf(b, n)
				for name, key := range map[string][]byte{
					string(schema.BucketDue): keys.Due, string(schema.BucketDead): keys.Dead, string(schema.BucketFetches): keys.Fetch,
				} {
					if key != nil {
						want[name] = append(want[name], string(key))
					}
				}
			}
		}
		for name := range want {
			require.ElementsMatch(a.t, want[name], found[name],
				"keys of index %s that the rows require, and those present", name)
		}
		for name := range found {
			require.Len(a.t, found[name], len(want[name]), "keys of index %s", name)
		}
		return nil
	}))
}

// keysOf yields the keys of a bucket.
func keysOf(b *bolt.Bucket) iter.Seq[string] {
	return func(yield func(string) bool) {
		c := b.Cursor()
		for key, _ := c.First(); key != nil && yield(string(key)); key, _ = c.Next() {
		}
	}
}
