package boltstore

import (
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// quarantined is the size of bucket quarantine.
type quarantined struct{ entries, bytes int }

// keepQuarantined stores the quarantined callbacks of a step, and evicts the oldest entries if the quarantine exceeds
// its limits.
func (st *step) keepQuarantined(parts []part) error {
	bucket := st.tx.Bucket(bucketQuarantine)
	for _, p := range parts {
		for i, a := range p.arrivals {
			q, ok := a.News.(store.Quarantined)
			if !ok {
				continue
			}
			key := quarantineKey(p.seq, p.first+i)
			row := encodeQuarantined(key, a, q)
			if err := bucket.Put(key, row); err != nil {
				return err
			}
			st.quarantine.entries++
			st.quarantine.bytes += len(row)
			st.totals.plan(a.Plan).Quarantined++
		}
	}
	return st.evict(bucket)
}

// evict deletes the oldest entries until the quarantine is within its limits.
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

// countQuarantined returns the size of bucket quarantine. It reads the whole bucket.
func countQuarantined(tx *bolt.Tx) (q quarantined) {
	c := tx.Bucket(bucketQuarantine).Cursor()
	for key, row := c.First(); key != nil; key, row = c.Next() {
		q.entries++
		q.bytes += len(row)
	}
	return q
}

// quarantineFormat is the first byte of a quarantine row, so that a later version can change the format.
const quarantineFormat = 1

func encodeQuarantined(key []byte, a store.Arrival, q store.Quarantined) []byte {
	p := unsealed(len(q.Raw) + len(a.Plan) + 64)
	p.Byte(quarantineFormat)
	p.Text(a.Plan)
	p.Time(a.At)
	p.Text(string(q.Reason))
	p.Text(string(q.Type))
	p.Bytes(q.Raw)
	return seal(bucketQuarantine, key, p)
}

func decodeQuarantined(key, row []byte) (store.QuarantineEntry, error) {
	content, err := unseal(bucketQuarantine, key, row)
	if err != nil {
		return store.QuarantineEntry{}, err
	}
	u := packed.Reader{Rest: content}
	if format := u.Byte(); format != quarantineFormat && u.Err == nil {
		return store.QuarantineEntry{}, damage(bucketQuarantine, key,
			fmt.Errorf("quarantine: row has format %d, this version reads format %d", format, quarantineFormat))
	}
	e := store.QuarantineEntry{Plan: u.Text(), ReceivedAt: u.Time()}
	e.Reason, e.Type, e.Raw = dlr.Reason(u.Text()), dlr.Type(u.Text()), []byte(u.Text())
	if u.Err != nil {
		return e, damage(bucketQuarantine, key, fmt.Errorf("quarantine: %w", u.Err))
	}
	return e, nil
}

// Quarantine implements store.Store: it lists quarantined callbacks, newest first. A page ends at 16 MiB (pageBytes)
// even if it has fewer entries than asked for.
func (s *Store) Quarantine(ctx context.Context, p store.Paging) (page store.Page[store.QuarantineEntry], err error) {
	size := 0
	err = s.view(ctx, func(tx *bolt.Tx) error {
		return backward(tx.Bucket(bucketQuarantine), nil, p, func(key, row []byte) (bool, error) {
			e, err := decodeQuarantined(key, row)
			page.Items = append(page.Items, e)
			if size += len(row); err == nil && size >= pageBytes {
				err = errPageFull
			}
			return true, err
		}, &page.Next)
	})
	return page, err
}
