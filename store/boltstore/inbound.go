package boltstore

import (
	"bytes"
	"context"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/backlog"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// keepInbound stores the inbound messages among the arrivals (recorded things). It skips those that are stored already.
func (st *step) keepInbound(parts []backlog.Part) error {
	bucket := st.tx.Bucket(schema.BucketInbound)
	var times, numbers [][]byte
	for _, p := range parts {
		for _, a := range p.Arrivals {
			n, ok := a.Entry.(store.Inbound)
			if !ok {
				continue
			}
			key := schema.InboundKey(a.Plan, n.ID)
			if bucket.Get(key) != nil {
				continue
			}
			m := store.InboundMessage{Plan: a.Plan, ArrivedAt: a.At, Inbound: n}
			if err := bucket.Put(key, schema.SealInbound(key, &m)); err != nil {
				return err
			}
			st.noted(a, nil)
			for _, e := range schema.InboundEntriesOf(key, &m) {
				if bytes.Equal(e.Bucket, schema.BucketInboundTimes) {
					times = append(times, e.Key)
				} else {
					numbers = append(numbers, e.Key)
				}
			}
		}
	}
	if err := st.putSorted(st.tx.Bucket(schema.BucketInboundTimes), times); err != nil {
		return err
	}
	return st.putSorted(st.tx.Bucket(schema.BucketInboundNumbers), numbers)
}

// InboundMessage implements store.Store: it returns the inbound message with this id, or ErrNotFound.
func (s *Store) InboundMessage(ctx context.Context, plan, id string) (m store.InboundMessage, err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		key := schema.InboundKey(plan, id)
		row := tx.Bucket(schema.BucketInbound).Get(key)
		if row == nil {
			return store.ErrNotFound
		}
		m, err = schema.DecodeInbound(key, row)
		return err
	})
	return m, err
}

// InboundMessages implements store.Store: it lists inbound messages, newest first. A page ends at 16 MiB (pageBytes)
// even if it has fewer messages than requested.
func (s *Store) InboundMessages(
	ctx context.Context, q store.InboundQuery,
) (page store.Page[store.InboundMessage], err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		var prefix []byte
		index := tx.Bucket(schema.BucketInboundTimes)
		if q.Number != "" {
			index, prefix = tx.Bucket(schema.BucketInboundNumbers), schema.InboundNumberPrefix(q.Number)
		}
		after, err := decodeCursor(q.Cursor, prefix)
		if err != nil {
			return err
		}
		if after == nil && !q.To.IsZero() {
			after = append(bytes.Clone(prefix), schema.InboundTime(ceilMilli(q.To))...)
		}
		return pageOfInbound(tx, index, prefix, after, q, &page)
	})
	return page, err
}

// ceilMilli returns t rounded up to whole milliseconds.
func ceilMilli(t time.Time) time.Time {
	if whole := t.Truncate(time.Millisecond); whole.Before(t) {
		return whole.Add(time.Millisecond)
	}
	return t
}

// pageOfInbound adds the inbound messages that match the query q to the page, newest first. It reads the entries of
// index whose key has the prefix and is less than after.
func pageOfInbound(
	tx *bolt.Tx, index *bolt.Bucket, prefix, after []byte, q store.InboundQuery, page *store.Page[store.InboundMessage],
) error {
	c, rows := index.Cursor(), tx.Bucket(schema.BucketInbound)
	var last []byte
	size, plan := 0, schema.AppendPlan(nil, q.Plan)
	found, _ := begin(c, prefix, after, true)
	for scanned := 0; found != nil && bytes.HasPrefix(found, prefix); found, _ = c.Prev() {
		at, key := schema.InboundOf(found[len(prefix):])
		if at.Before(q.From.Truncate(time.Millisecond)) {
			return nil
		}
		if len(page.Items) == q.Size() || scanned == maxScanned || size >= pageBytes {
			page.Next = cursorOf(last, prefix)
			return nil
		}
		scanned++
		last = found
		if q.Plan != "" && !bytes.HasPrefix(key, plan) {
			continue
		}
		row := rows.Get(key)
		if row == nil {
			continue // the row was damaged and set aside
		}
		m, err := schema.DecodeInbound(key, row)
		if err != nil {
			return err
		}
		if q.Matches(&m) && m.ArrivedAt.Equal(at) { // otherwise it is the entry of an earlier row, which was set aside
			page.Items = append(page.Items, m)
			size += len(row)
		}
	}
	return nil
}

// purgeInbound deletes inbound messages older than the given time, until *room is used up. Each deleted key lowers it.
func purgeInbound(tx *bolt.Tx, before time.Time, room *int) error {
	times, rows := tx.Bucket(schema.BucketInboundTimes), tx.Bucket(schema.BucketInbound)
	for *room > 0 {
		found, _ := times.Cursor().First()
		found = bytes.Clone(found)
		at, key := schema.InboundOf(found)
		if found == nil || !at.Before(before) {
			return nil
		}
		entries := []schema.Entry{{Bucket: schema.BucketInboundTimes, Key: found}}
		if row := rows.Get(key); row != nil {
			m, err := schema.DecodeInbound(key, row)
			if err != nil {
				return err
			}
			if m.ArrivedAt.Equal(at) { // otherwise the entry is of an earlier row, which was set aside
				entries = append(schema.InboundEntriesOf(key, &m), schema.Entry{Bucket: schema.BucketInbound, Key: key})
			}
		}
		for _, e := range entries {
			if err := tx.Bucket(e.Bucket).Delete(e.Key); err != nil {
				return err
			}
			*room--
		}
	}
	return nil
}
