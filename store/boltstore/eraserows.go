package boltstore

import (
	"bytes"
	"context"
	"errors"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/packed"
)

// inbound deletes the inbound messages from and to the number.
func (e *eraser) inbound(ctx context.Context) error {
	prefix := schema.InboundNumberPrefix(e.number.Digits())
	_, err := e.replace(ctx, rows{
		bucket: schema.BucketInboundNumbers, prefix: prefix,
		names: func([]byte, []byte) (bool, error) { return true, nil },
		change: func(c *writeTx, at, _ []byte) error {
			if err := c.tx.Bucket(schema.BucketInboundNumbers).Delete(at); err != nil {
				return err
			}
			arrivedAt, key := schema.InboundOf(at[len(prefix):])
			row := c.tx.Bucket(schema.BucketInbound).Get(key)
			if row == nil {
				return nil // the row was damaged and set aside
			}
			m, err := schema.DecodeInbound(key, row)
			if err != nil || !m.ArrivedAt.Equal(arrivedAt) { // the entry of an earlier row, which was set aside
				return err
			}
			e.counted.InboundMessages++
			for _, entry := range append(schema.InboundEntriesOf(key, &m), schema.Entry{
				Bucket: schema.BucketInbound, Key: key,
			}) {
				if err := c.tx.Bucket(entry.Bucket).Delete(entry.Key); err != nil {
					return err
				}
			}
			return nil
		},
	})
	return err
}

// quarantined erases the number from the callbacks that could not be parsed.
func (e *eraser) quarantined(ctx context.Context) error {
	changed := func(key, row []byte) (q store.QuarantineEntry, changed bool, err error) {
		if q, err = schema.DecodeQuarantined(key, row); err == nil {
			q.Raw, changed = e.body(store.BatchKey{Plan: q.Plan}, q.Raw)
		}
		return q, changed, err
	}
	_, err := e.replace(ctx, rows{
		bucket: schema.BucketQuarantine,
		names: func(key, row []byte) (bool, error) {
			_, names, err := changed(key, row)
			return names, err
		},
		change: func(c *writeTx, key, row []byte) error {
			q, names, err := changed(key, row)
			if err != nil || !names {
				return err
			}
			fresh := schema.SealQuarantined(key, store.Arrival{Plan: q.Plan, At: q.ReceivedAt}, q.Quarantined)
			c.quarantine.bytes += len(fresh) - len(row)
			e.counted.Quarantined++
			return c.tx.Bucket(schema.BucketQuarantine).Put(key, fresh)
		},
	})
	return err
}

// events erases the number from the event log. Each event keeps its sequence number.
func (e *eraser) events(ctx context.Context) error {
	// changed counts the changed events that are kept: the first row may hold events before the beginning of the log.
	changed := func(key, row []byte, first uint64) (events []store.Event, names bool, kept int, err error) {
		r, err := schema.OpenEvents(key, row)
		if err != nil {
			return nil, false, 0, err
		}
		if events, err = r.Events(e.s.decoder); err != nil {
			return nil, false, 0, err
		}
		for i := range events {
			if e.number.Event(&events[i]) {
				if names = true; r.First+uint64(i) >= first {
					kept++
				}
			}
		}
		return events, names, kept, nil
	}
	_, err := e.replace(ctx, rows{
		bucket: schema.BucketEvents,
		names: func(key, row []byte) (bool, error) {
			_, names, _, err := changed(key, row, 0)
			return names, err
		},
		change: func(c *writeTx, key, row []byte) error {
			events, names, kept, err := changed(key, row, c.eventRange.First)
			if err != nil || !names {
				return err
			}
			e.counted.Events += kept
			return c.tx.Bucket(schema.BucketEvents).Put(key, c.s.eventCompressor.Pack(key, events))
		},
		after: (*writeTx).fenceDestinations,
	})
	return err
}

// deferred erases the number from deferred and dead events, and deletes those that lose their callback.
func (e *eraser) deferred(ctx context.Context) error {
	changed := func(key, row []byte) (d store.DeferredEvent, changed bool, err error) {
		if d, err = schema.DecodeDeferred(key, row); err == nil {
			changed = e.number.Deferred(&d)
		}
		return d, changed, err
	}
	_, err := e.replace(ctx, rows{
		bucket: schema.BucketDeferred,
		names: func(key, row []byte) (bool, error) {
			_, names, err := changed(key, row)
			return names, err
		},
		change: func(c *writeTx, key, row []byte) error {
			d, names, err := changed(key, row)
			if err != nil || !names {
				return err
			}
			e.counted.Events++
			if !d.Event.Erased() {
				return c.tx.Bucket(schema.BucketDeferred).Put(key, schema.SealDeferred(key, &d))
			}
			destination := bytes.Clone(schema.DestinationOf(key))
			err = c.changeDestination(destination, func(of *store.Destination) error {
				return c.dropDeferred(destination, of, d.ID)
			})
			if errors.Is(err, store.ErrNotFound) { // the destination's row is damaged and not mended yet
				err = c.tx.Bucket(schema.BucketDeferred).Delete(key)
			}
			return err
		},
		after: (*writeTx).fenceDestinations,
	})
	return err
}

// fenceDestinations raises the epoch and the last id of every destination. Then nobody can store what is in memory of
// the events that the transaction has changed. It belongs to the same transaction, so that an interrupted Erase leaves
// no event that is changed but not fenced.
func (c *writeTx) fenceDestinations() error {
	var keys [][]byte
	err := c.tx.Bucket(schema.BucketDestinations).ForEach(func(key, _ []byte) error {
		keys = append(keys, bytes.Clone(key))
		return nil
	})
	for _, key := range keys {
		if err == nil {
			err = c.changeDestination(key, func(d *store.Destination) error {
				d.LastID++
				return nil
			})
		}
	}
	return err
}

// damaged deletes the rows from bucket damaged that may name the number: those that contain its digits in any spelling,
// and those whose content is compressed.
func (e *eraser) damaged(ctx context.Context) error {
	exists := false
	err := e.s.viewFolded(func(tx *bolt.Tx) error {
		exists = tx.Bucket(schema.BucketDamaged) != nil
		return nil
	})
	if err != nil || !exists {
		return err
	}
	_, err = e.replace(ctx, rows{
		bucket: schema.BucketDamaged,
		names:  func(_, row []byte) (bool, error) { return e.mayName(row), nil },
		change: func(c *writeTx, key, _ []byte) error { return c.tx.Bucket(schema.BucketDamaged).Delete(key) },
	})
	return err
}

// mayName reports whether a row of bucket damaged may name the number.
func (e *eraser) mayName(row []byte) bool {
	u := packed.Reader{Rest: row}
	u.Time()
	bucket := u.View()
	return u.Err != nil || bytes.Equal(bucket, schema.BucketLog) || bytes.Equal(bucket, schema.BucketEvents) ||
		bytes.IndexByte(row, '\\') >= 0 || bytes.Contains(digitsOf(row), []byte(e.number.Digits()))
}

// digitsOf returns the bytes of text that are digits, in order.
func digitsOf(text []byte) []byte {
	var digits []byte
	for _, b := range text {
		if '0' <= b && b <= '9' {
			digits = append(digits, b)
		}
	}
	return digits
}
