package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// Destinations implements store.EventLog: it returns all destinations, sorted by name.
func (s *Store) Destinations(ctx context.Context) (all []store.Destination, err error) {
	err = s.viewEvents(ctx, "", func(tx *bolt.Tx, _ uint64) error {
		all = nil
		return tx.Bucket(schema.BucketDestinations).ForEach(func(key, row []byte) error {
			d, err := schema.DecodeDestination(key, row)
			all = append(all, d)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b store.Destination) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// DeferredEvents implements store.EventLog: it lists the deferred or dead events of a destination by id. A page ends at
// 16 MiB (pageBytes) even if it has fewer events than requested.
func (s *Store) DeferredEvents(
	ctx context.Context, name string, dead bool, p store.Paging,
) (page store.Page[store.DeferredEvent], err error) {
	destination := schema.DestinationKey(name)
	prefix, size := schema.DeferredPrefix(destination, dead), 0
	err = s.viewEvents(ctx, "", func(tx *bolt.Tx, _ uint64) error {
		if tx.Bucket(schema.BucketDestinations).Get(destination) == nil {
			return store.ErrNotFound
		}
		return forward(tx.Bucket(schema.BucketDeferred), prefix, p, func(key, row []byte) (bool, error) {
			e, err := schema.DecodeDeferred(key, row)
			if err != nil {
				if s.needsStart(err) {
					err = nil
				}
				return false, err
			}
			page.Items = append(page.Items, e)
			if size += len(row); size >= pageBytes {
				err = errPageFull
			}
			return true, err
		}, &page.Next)
	})
	return page, err
}

// SaveDestination implements store.EventLog: it stores the change in one transaction. It returns ErrConflict unless
// c.Epoch is that of the stored destination, or 0 if none is stored.
func (s *Store) SaveDestination(
	ctx context.Context, name string, change store.DestinationChange,
) (epoch int64, err error) {
	if name == "" {
		return 0, errors.New("save destination: no name")
	}
	key := schema.DestinationKey(name)
	err = s.writeDestination(ctx, func(c *writeTx) error {
		d, err := c.destination(key)
		switch isNew := errors.Is(err, store.ErrNotFound); {
		case isNew && change.Epoch == 0:
			d = store.Destination{Name: name, Epoch: c.eventRange.Epoch}
		case isNew, err == nil && d.Epoch != change.Epoch:
			return store.ErrConflict
		case err != nil:
			return err
		}
		d.Cursor, d.PausedAt = change.Cursor, change.PausedAt
		if err := c.dropDeferred(key, &d, change.Delete...); err != nil {
			return err
		}
		for i := range change.Put {
			if err := c.putDeferred(key, &d, &change.Put[i]); err != nil {
				return err
			}
		}
		d.Epoch++
		epoch = d.Epoch
		return c.tx.Bucket(schema.BucketDestinations).Put(key, schema.SealDestination(key, &d))
	})
	if err != nil {
		return 0, err
	}
	return epoch, nil
}

// RequeueEvents implements store.EventLog: it makes all dead events of a destination due at now. It returns how many it
// has made due, even if it also returns an error. Each transaction changes a bounded number of events.
func (s *Store) RequeueEvents(ctx context.Context, name string, now time.Time) (requeued int, err error) {
	key := schema.DestinationKey(name)
	prefix := schema.DeferredPrefix(key, true)
	for from := prefix; from != nil; {
		var moved []store.DeferredEvent
		var next []byte
		err := s.writeDestination(ctx, func(c *writeTx) error {
			moved, next = nil, nil
			return c.changeDestination(key, func(d *store.Destination) error {
				d.PausedAt = time.Time{}
				cursor, size := c.tx.Bucket(schema.BucketDeferred).Cursor(), 0
				found, row := cursor.Seek(from)
				for ; bytes.HasPrefix(found, prefix); found, row = cursor.Next() {
					if len(moved) == retentionStep || size > pageBytes {
						next = bytes.Clone(found)
						break
					}
					e, err := schema.DecodeDeferred(found, row)
					if err != nil {
						return err
					}
					e.Dead, e.Due, e.Since, e.Attempts = false, now, now, 0
					moved = append(moved, e)
					size += len(row)
				}
				for i := range moved {
					if err := c.putDeferred(key, d, &moved[i]); err != nil {
						return err
					}
				}
				return nil
			})
		})
		if err != nil {
			return requeued, err
		}
		requeued += len(moved)
		from = next
	}
	return requeued, nil
}

// DeleteDestination implements store.EventLog: it deletes a destination after its deferred and dead events. Each
// transaction deletes a bounded number of events.
func (s *Store) DeleteDestination(ctx context.Context, name string) error {
	key := schema.DestinationKey(name)
	for ended := false; !ended; {
		err := s.writeDestination(ctx, func(c *writeTx) error {
			room := retentionStep
			for _, dead := range []bool{false, true} {
				err := deleteWhile(c.tx.Bucket(schema.BucketDeferred), schema.DeferredPrefix(key, dead), &room, nil)
				if err != nil {
					return err
				}
			}
			if ended = room > 0; !ended {
				return c.changeDestination(key, func(d *store.Destination) error { return c.countDeferred(key, d) })
			}
			d, err := c.destination(key)
			if err != nil {
				return err
			}
			// A new destination of the name begins with a larger epoch, so that no late change of this one is stored.
			c.eventRange.Epoch = max(c.eventRange.Epoch, d.Epoch)
			return errors.Join(c.eventRange.Save(c.tx), c.tx.Bucket(schema.BucketDestinations).Delete(key))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// writeDestination calls run in a write transaction, which a fold step does not delay by sleeping. It returns
// ErrConflict and ErrNotFound as they are, and reports other errors.
func (s *Store) writeDestination(ctx context.Context, run func(*writeTx) error) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	s.urgent.Add(1)
	err := s.write(run)
	s.urgent.Add(-1)
	switch {
	case err == nil, errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrNotFound):
		return err
	case errors.Is(err, store.ErrClosed), errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return s.closedError()
	}
	if s.noteDamaged(err); !errors.Is(err, store.ErrDamaged) {
		s.reportFailure("commit", err)
	}
	return fmt.Errorf("save destination: %w", err)
}

// changeDestination calls change with the destination that has this key and stores the result with the next epoch. It
// returns ErrNotFound if there is none.
func (c *writeTx) changeDestination(key []byte, change func(*store.Destination) error) error {
	d, err := c.destination(key)
	if err != nil {
		return err
	}
	if err := change(&d); err != nil {
		return err
	}
	d.Epoch++
	return c.tx.Bucket(schema.BucketDestinations).Put(key, schema.SealDestination(key, &d))
}

// destination returns the destination that has this key, or ErrNotFound.
func (c *writeTx) destination(key []byte) (store.Destination, error) {
	row := c.tx.Bucket(schema.BucketDestinations).Get(key)
	if row == nil {
		return store.Destination{}, store.ErrNotFound
	}
	return schema.DecodeDestination(key, row)
}

// putDeferred stores an event that the destination with this key did not accept, and updates d. It replaces an event
// with the same id.
func (c *writeTx) putDeferred(key []byte, d *store.Destination, e *store.DeferredEvent) error {
	if err := c.dropDeferred(key, d, e.ID); err != nil {
		return err
	}
	if e.Dead {
		d.Dead++
	} else {
		d.Deferred++
	}
	d.LastID = max(d.LastID, e.ID)
	at := schema.DeferredKey(key, e.Dead, e.ID)
	return c.tx.Bucket(schema.BucketDeferred).Put(at, schema.SealDeferred(at, e))
}

// dropDeferred deletes deferred or dead events of the destination with this key, and updates the numbers in d. It
// ignores unknown ids.
func (c *writeTx) dropDeferred(key []byte, d *store.Destination, ids ...int64) error {
	rows := c.tx.Bucket(schema.BucketDeferred)
	for _, id := range ids {
		for dead, count := range map[bool]*int{false: &d.Deferred, true: &d.Dead} {
			at := schema.DeferredKey(key, dead, id)
			if rows.Get(at) == nil {
				continue
			}
			*count--
			if err := rows.Delete(at); err != nil {
				return err
			}
		}
	}
	return nil
}

// countDeferred counts the deferred and dead events of the destination with this key again. It also raises d.LastID to
// the largest id that it finds.
func (c *writeTx) countDeferred(key []byte, d *store.Destination) error {
	cursor := c.tx.Bucket(schema.BucketDeferred).Cursor()
	d.Deferred, d.Dead = 0, 0
	for dead, count := range map[bool]*int{false: &d.Deferred, true: &d.Dead} {
		prefix := schema.DeferredPrefix(key, dead)
		for found, _ := cursor.Seek(prefix); bytes.HasPrefix(found, prefix); found, _ = cursor.Next() {
			*count++
			d.LastID = max(d.LastID, int64(schema.TrailingNumber(found)))
		}
	}
	return nil
}
