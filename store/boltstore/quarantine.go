package boltstore

import (
	"context"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/backlog"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// quarantined is the size of BucketQuarantine, which keeps callbacks that could not be parsed.
type quarantined struct{ entries, bytes int }

// keepQuarantined stores the callbacks that could not be parsed in BucketQuarantine. If the bucket then exceeds its
// limits, the oldest are deleted.
func (st *step) keepQuarantined(parts []backlog.Part) error {
	bucket := st.tx.Bucket(schema.BucketQuarantine)
	for _, p := range parts {
		for i, a := range p.Arrivals {
			q, ok := a.Entry.(store.Quarantined)
			if !ok {
				continue
			}
			key := schema.QuarantineKey(p.Seq, p.First+i)
			row := schema.SealQuarantined(key, a, q)
			if err := bucket.Put(key, row); err != nil {
				return err
			}
			st.quarantine.entries++
			st.quarantine.bytes += len(row)
			st.totals.Plan(a.Plan).Quarantined++
			st.noted(a, key)
		}
	}
	return st.evict(bucket)
}

// evict deletes the oldest unparsable callbacks until the limits QuarantineEntries and QuarantineBytes are met.
func (st *step) evict(bucket *bolt.Bucket) error {
	c := bucket.Cursor()
	for st.quarantine.entries > st.s.config.QuarantineEntries || st.quarantine.bytes > st.s.config.QuarantineBytes {
		key, row := c.First()
		if key == nil {
			return nil
		}
		st.quarantine.entries--
		st.quarantine.bytes -= len(row)
		st.evicted++
		if err := bucket.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// countQuarantined counts the callbacks in BucketQuarantine and their bytes. It reads the whole bucket.
func countQuarantined(tx *bolt.Tx) (q quarantined) {
	c := tx.Bucket(schema.BucketQuarantine).Cursor()
	for key, row := c.First(); key != nil; key, row = c.Next() {
		q.entries++
		q.bytes += len(row)
	}
	return q
}

// Quarantine implements store.Store: it lists the callbacks that could not be parsed, newest first. A page ends at 16
// MiB (pageBytes) even if it has fewer entries than requested.
func (s *Store) Quarantine(ctx context.Context, p store.Paging) (page store.Page[store.QuarantineEntry], err error) {
	size := 0
	err = s.view(ctx, func(tx *bolt.Tx) error {
		return backward(tx.Bucket(schema.BucketQuarantine), nil, p, func(key, row []byte) (bool, error) {
			e, err := schema.DecodeQuarantined(key, row)
			page.Items = append(page.Items, e)
			if size += len(row); err == nil && size >= pageBytes {
				err = errPageFull
			}
			return true, err
		}, &page.Next)
	})
	return page, err
}
