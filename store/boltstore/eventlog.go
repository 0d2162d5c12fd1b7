package boltstore

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// maxEventPage is the size of the events in bytes at which a page of the event log ends.
const maxEventPage = 4 << 20

var _ store.EventLog = (*Store)(nil)

// Events implements store.EventLog: it returns up to limit events after the cursor, or fewer if they have more than 4
// MiB. Events in a damaged row that was set aside are left out.
func (s *Store) Events(ctx context.Context, cursor string, limit int) (page store.EventPage, err error) {
	var seqs []uint64 // of each event
	var start uint64
	err = s.viewEvents(ctx, cursor, func(tx *bolt.Tx, from uint64) error {
		page.Events, seqs, start = nil, nil, from
		size := 0
		return s.eachEventRow(tx, from, func(r schema.EventRow) (more bool, err error) {
			if len(page.Events) >= limit || size >= maxEventPage {
				return false, nil
			}
			events, err := r.Events(s.decoder)
			if err != nil {
				return false, err
			}
			for i := max(from, r.First) - r.First; i < uint64(len(events)); i++ {
				if len(page.Events) >= limit || size >= maxEventPage {
					return false, nil
				}
				page.Events = append(page.Events, events[i])
				seqs = append(seqs, r.First+i)
				size += schema.EventBytes(&events[i])
			}
			return true, nil
		})
	})
	if err != nil {
		return store.EventPage{}, err
	}
	page.Cursor = func(i int) string { return s.eventCursor(seqs[i] + 1) }
	switch n := len(seqs); {
	case n > 0:
		page.Next = page.Cursor(n - 1)
	case cursor == "":
		page.Next = s.eventCursor(start)
	default:
		page.Next = cursor
	}
	return page, nil
}

// EventsEnd implements store.EventLog: it returns the cursor after the newest event.
func (s *Store) EventsEnd(ctx context.Context) (end string, err error) {
	err = s.viewEvents(ctx, "", func(tx *bolt.Tx, _ uint64) error {
		r, err := schema.ReadEventRange(tx)
		end = s.eventCursor(r.Next)
		return err
	})
	return end, err
}

// EventBacklog implements store.EventLog: it counts the events after the cursor. It computes the number from sequence
// numbers, so events of a damaged row that was set aside count until the cursor has passed them.
func (s *Store) EventBacklog(ctx context.Context, cursor string) (b store.EventBacklog, err error) {
	err = s.viewEvents(ctx, cursor, func(tx *bolt.Tx, from uint64) error {
		b = store.EventBacklog{}
		all, err := schema.ReadEventRange(tx)
		if err != nil {
			return err
		}
		return s.eachEventRow(tx, from, func(r schema.EventRow) (more bool, err error) {
			events, err := r.Events(s.decoder)
			if err != nil {
				return false, err
			}
			first := max(from, r.First)
			b.Events, b.Oldest = int(all.Next-first), events[first-r.First].At
			return false, nil
		})
	})
	return b, err
}

// viewEvents runs a read transaction that may miss what was recorded just before. from is the number of the first event
// after the cursor.
func (s *Store) viewEvents(ctx context.Context, cursor string, read func(tx *bolt.Tx, from uint64) error) error {
	if s.closed.Load() {
		return s.closedError()
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	err := s.viewFolded(func(tx *bolt.Tx) error {
		all, err := schema.ReadEventRange(tx)
		if err != nil {
			return err
		}
		from, err := s.seekEvent(cursor, all)
		if err != nil {
			return err
		}
		return read(tx, from)
	})
	if err != nil && s.closed.Load() {
		return s.closedError()
	}
	return err
}

// eachEventRow calls visit for each row with an event whose number is from or larger, in order, until visit returns
// false or an error. A row that only the next start can mend is skipped: see isMisplaced.
func (s *Store) eachEventRow(tx *bolt.Tx, from uint64, visit func(schema.EventRow) (more bool, err error)) error {
	c := tx.Bucket(schema.BucketEvents).Cursor()
	key, row := c.Seek(schema.EventKey(from))
	if !bytes.Equal(key, schema.EventKey(from)) { // the row before may have the event
		if key == nil {
			key, row = c.Last()
		} else if before, its := c.Prev(); before != nil {
			key, row = before, its
		} else {
			key, row = c.First()
		}
	}
	for ; key != nil; key, row = c.Next() {
		r, err := schema.OpenEvents(key, row)
		more := true
		if err == nil && r.End() > from {
			more, err = visit(r)
		}
		if err != nil && !s.needsStart(err) {
			return err
		}
		if !more {
			return nil
		}
	}
	return nil
}

// needsStart reports whether err is the damage of a row that only the next start can mend.
func (s *Store) needsStart(err error) bool {
	d, isRow := errors.AsType[*schema.DamageError](err)
	if !isRow {
		return false
	}
	_, known := s.startOnly.Load(d.ID())
	return known
}

// cursorLength is the length in bytes of a decoded cursor of the event log: the log's id and a sequence number, between
// two bytes that tell it from other texts.
const cursorLength = 18

// eventCursor returns the cursor before the event with this number.
func (s *Store) eventCursor(seq uint64) string {
	id := logIDOf(s.journal.Salt())
	p := append(make([]byte, 0, cursorLength), 'e')
	p = binary.BigEndian.AppendUint64(append(p, id[:]...), seq)
	return base64.RawURLEncoding.EncodeToString(append(p, 'e'))
}

// decodeEventCursor reverses eventCursor. It returns ErrCursor for any other text.
func decodeEventCursor(cursor string) (id logID, seq uint64, err error) {
	p, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(p) != cursorLength || p[0] != 'e' || p[cursorLength-1] != 'e' {
		return id, 0, fmt.Errorf("%w: %.60q", store.ErrCursor, cursor)
	}
	return logID(p[1:9]), binary.BigEndian.Uint64(p[9:]), nil
}

// seekEvent returns the number of the first event after the cursor. all is the range of the event log.
func (s *Store) seekEvent(cursor string, all schema.EventRange) (from uint64, err error) {
	if cursor == "" {
		return all.First, nil
	}
	id, seq, err := decodeEventCursor(cursor)
	if err != nil {
		return 0, err
	}
	if id != logIDOf(s.journal.Salt()) || seq < all.First || seq > all.Next {
		return 0, &store.CursorGoneError{Oldest: s.eventCursor(all.First)}
	}
	return seq, nil
}
