package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// TrimEvents implements store.EventLog: it deletes events older than before that all destinations have received. It
// stops at the first event that is not. Each transaction deletes a bounded number of rows.
func (s *Store) TrimEvents(ctx context.Context, before time.Time) error {
	if s.closed.Load() {
		return s.closedError()
	}
	idle := false // whether there is nothing to delete
	err := s.viewFolded(func(tx *bolt.Tx) error {
		all, err := schema.ReadEventRange(tx)
		if err != nil {
			return err
		}
		limit, err := s.oldestCursor(tx, all)
		if idle = limit <= all.First; idle || err != nil {
			return err
		}
		idle = true
		return s.eachEventRow(tx, all.First, func(r schema.EventRow) (bool, error) {
			to, err := s.trimmed(r, max(all.First, r.First), limit, before)
			idle = to == max(all.First, r.First)
			return false, err
		})
	})
	for ended := idle; err == nil && !ended && ctx.Err() == nil; {
		err = s.write(func(c *writeTx) error {
			limit, err := s.oldestCursor(c.tx, c.eventRange)
			if err != nil {
				return err
			}
			room := retentionStep
			ended, err = c.trimEvents(before, limit, &room)
			return err
		})
	}
	switch {
	case err == nil:
		return ctx.Err()
	case errors.Is(err, store.ErrClosed), errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return s.closedError()
	}
	s.noteDamaged(err)
	s.reportFailure("expire", err)
	return fmt.Errorf("trim events: %w", err)
}

// oldestCursor returns the number of the first event that some destination has not received yet; all.Next if each has
// received all, or if there are no destinations. A cursor that this store did not make counts as the oldest.
func (s *Store) oldestCursor(tx *bolt.Tx, all schema.EventRange) (uint64, error) {
	oldest := all.Next
	err := tx.Bucket(schema.BucketDestinations).ForEach(func(key, row []byte) error {
		d, err := schema.DecodeDestination(key, row)
		if err != nil {
			return err
		}
		seq, err := s.seekEvent(d.Cursor, all)
		if err != nil {
			seq = all.First
		}
		oldest = min(oldest, seq)
		return nil
	})
	return oldest, err
}

// trimmed returns the number of the first event of the row r, beginning with from, that must be kept: it is not older
// than before, or its number is at least limit. If there is none, trimmed returns r.End().
func (s *Store) trimmed(r schema.EventRow, from, limit uint64, before time.Time) (uint64, error) {
	if r.End() <= limit && r.Newest.Before(before) {
		return r.End(), nil
	}
	if from >= limit {
		return from, nil
	}
	events, err := r.Events(s.decoder)
	if err != nil {
		return 0, err
	}
	to := from
	for to < min(r.End(), limit) && events[to-r.First].At.Before(before) {
		to++
	}
	return to, nil
}

// trimEvents deletes events older than before with a number below limit, until *room is used up. Each deleted page of
// 4 KiB lowers *room. It deletes whole rows. In a row of which some events must be kept, it only moves the beginning of
// the log. ended is true if nothing is left to delete.
func (c *writeTx) trimEvents(before time.Time, limit uint64, room *int) (ended bool, err error) {
	was := c.eventRange
	cursor := c.tx.Bucket(schema.BucketEvents).Cursor()
	key, row := cursor.First()
	for next := []byte(nil); key != nil && *room > 0 && !ended; key, row = cursor.Seek(next) {
		next = append(bytes.Clone(key), 0)
		r, err := schema.OpenEvents(key, row)
		if c.s.needsStart(err) {
			continue
		}
		if err != nil {
			return false, err
		}
		from := max(c.eventRange.First, r.First)
		to, err := c.s.trimmed(r, from, limit, before)
		if err != nil {
			return false, err
		}
		if to > from {
			c.eventRange.First = to
		}
		if to < r.End() {
			ended = true
			break
		}
		*room -= 1 + len(row)/4096
		if err := cursor.Delete(); err != nil {
			return false, err
		}
	}
	if c.eventRange != was {
		err = c.eventRange.Save(c.tx)
	}
	return ended || *room > 0, err
}

// purgeDead deletes dead events that became dead before the given time, until *room is used up. Each lowers *room. The
// events of a destination are sorted by their ids, and so mostly by that time: as many consecutive ones that are too
// new as retentionYoung end the search.
func (c *writeTx) purgeDead(before time.Time, room *int) error {
	var keys [][]byte
	err := c.tx.Bucket(schema.BucketDestinations).ForEach(func(key, _ []byte) error {
		keys = append(keys, bytes.Clone(key))
		return nil
	})
	if err != nil {
		return err
	}
	rows := c.tx.Bucket(schema.BucketDeferred)
	for _, key := range keys {
		var old []int64
		prefix, young := schema.DeferredPrefix(key, true), 0
		cursor := rows.Cursor()
		found, row := cursor.Seek(prefix)
		for ; bytes.HasPrefix(found, prefix) && len(old) < *room && young < retentionYoung; found, row = cursor.Next() {
			e, err := schema.DecodeDeferred(found, row)
			if err != nil {
				return err
			}
			if young++; e.Since.Before(before) {
				old, young = append(old, int64(binary.BigEndian.Uint64(found[len(prefix):]))), 0
			}
		}
		if len(old) == 0 {
			continue
		}
		*room -= len(old)
		err := c.changeDestination(key, func(d *store.Destination) error { return c.dropDeferred(key, d, old...) })
		if err != nil {
			return err
		}
	}
	return nil
}
