package pgstore

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
)

// SQL statements that delete the oldest rows of a stream, and a stream without rows. First trimStream is committed: a
// reader that misses a deleted row then finds that it was deleted.
const (
	trimStream = `UPDATE event_stream SET trimmed = $2, trimmed_total = $3 WHERE id = $1 AND trimmed < $2`

	deleteEvents = `DELETE FROM event_log WHERE slot = $1 AND stream = $2 AND seq <= $3`

	deleteStream = `
DELETE FROM event_stream WHERE id = $1 AND trimmed = $2 AND NOT EXISTS (SELECT 1 FROM replica r WHERE r.token = event_stream.token)`

	countDeleted = `
INSERT INTO event_stream (id, token, home, trimmed, trimmed_total) VALUES (0, '', -1, 0, $1)
ON CONFLICT (id) DO UPDATE SET trimmed_total = event_stream.trimmed_total + excluded.trimmed_total`
)

const (
	// trimStep is the number of rows of a stream that one transaction deletes.
	trimStep = 256
	// dropAfter is how long a stream must have been empty, and its process gone, before its row is deleted. No
	// transaction of that process can still be running then.
	dropAfter = 10 * time.Minute
)

// idleStreams holds the streams without rows whose process is gone, as this process found them. The zero value is
// empty. It is safe for concurrent use.
type idleStreams struct {
	mu    sync.Mutex
	after time.Duration // replaces dropAfter in tests; guarded by mu, as the field below
	since map[int64]idleSince
}

// idleSince says when a stream was first found idle after the deletion of its row trimmed.
type idleSince struct {
	trimmed int64
	at      time.Time
}

// note notes whether a stream is idle now, and reports whether it has been idle for long enough to be deleted.
func (i *idleStreams) note(r streamRow, idle bool, now time.Time) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !idle {
		delete(i.since, r.ID)
		return false
	}
	if i.since == nil {
		i.since = make(map[int64]idleSince)
	}
	if s, known := i.since[r.ID]; !known || s.trimmed != r.Trimmed {
		i.since[r.ID] = idleSince{r.Trimmed, now}
	}
	after := time.Duration(dropAfter)
	if i.after != 0 {
		after = i.after
	}
	return now.Sub(i.since[r.ID].at) >= after
}

// TrimEvents deletes the events that are older than before and that all stored destinations have passed, in many small
// transactions. It keeps events that are stored in one row with newer ones or that follow newer ones in their stream. A
// destination whose cursor is not valid keeps all events.
func (s *Store) TrimEvents(ctx context.Context, before time.Time) error {
	destinations, err := s.Destinations(ctx)
	if err != nil {
		return err
	}
	places := make([]eventPosition, 0, len(destinations))
	for _, d := range destinations {
		p, id, err := decodeEventCursor(d.Cursor)
		if err != nil || id != s.databaseID() {
			p = eventPosition{}
		}
		places = append(places, p)
	}
	passed := func(stream int64) int64 {
		least := int64(math.MaxInt64)
		for _, p := range places {
			least = min(least, p.streams[stream].seq)
		}
		return least
	}
	switch err := s.trimEvents(ctx, before, passed); {
	case err == nil:
		return nil
	case s.closed.Load():
		return store.ErrClosed
	default:
		if ctx.Err() == nil {
			s.reportFailure("expire", err)
		}
		return fmt.Errorf("delete old events: %w", err)
	}
}

// trimEvents deletes the events older than before up to the row passed(id) of each stream, and then the streams that
// nobody will use again.
func (s *Store) trimEvents(ctx context.Context, before time.Time, passed func(stream int64) int64) error {
	streams, err := s.readStreams(ctx)
	if err != nil || len(streams.rows) == 0 {
		return err
	}
	replicas, err := s.readReplicas(ctx)
	if err != nil {
		return err
	}
	alive := make(map[string]bool, len(replicas))
	for _, r := range replicas {
		alive[r.token] = true
	}
	for _, r := range streams.rows {
		empty, err := s.trim(ctx, &r, before, passed(r.ID))
		if err == nil && s.idleStreams.note(r, empty && !alive[r.Token], time.Now()) {
			err = s.dropStream(ctx, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// trim deletes the rows of a stream up to the last one that is older than before and not after passed. It updates r,
// and reports whether the stream has no rows now.
func (s *Store) trim(ctx context.Context, r *streamRow, before time.Time, passed int64) (empty bool, err error) {
	for after := int64(0); ; { // rows up to r.Trimmed may be left from an interrupted call
		heads, err := s.headsToTrim(ctx, *r, after)
		if err != nil || len(heads) == 0 {
			return err == nil, err
		}
		last, total, left := r.Trimmed, r.TrimmedTotal, 0
		slots := make(map[int16]bool)
		for i, h := range heads {
			if h.seq > last && (!h.newest.Before(before) || h.seq > passed) {
				left = len(heads) - i
				break
			}
			last, total = max(last, h.seq), max(total, h.total)
			slots[h.slot] = true
		}
		if last > r.Trimmed {
			if err := s.run(ctx, trimStream, r.ID, last, total); err != nil {
				return false, err
			}
			r.Trimmed, r.TrimmedTotal = last, total
		}
		for slot := range slots {
			if err := s.run(ctx, deleteEvents, slot, r.ID, last); err != nil {
				return false, err
			}
		}
		if left > 0 {
			return false, nil
		}
		after = heads[len(heads)-1].seq
	}
}

// headsToTrim returns the heads of the oldest rows of a stream after this row. It reads them again if one seems to
// be missing, which may only not have been visible yet. What is missing in both reads was lost.
func (s *Store) headsToTrim(ctx context.Context, r streamRow, after int64) (heads []*eventHead, err error) {
	one := &eventStreams{rows: map[int64]streamRow{r.ID: r}}
	start := eventPosition{streams: map[int64]streamPosition{r.ID: {seq: after}}}
	for range 2 {
		found, err := s.readHeads(ctx, one, start, trimStep)
		if err != nil {
			return nil, err
		}
		heads = found[r.ID]
		missing, next := false, r.Trimmed+1
		for _, h := range heads {
			if h.seq < next {
				continue
			}
			missing = missing || h.seq > next
			next = h.seq + 1
		}
		if !missing {
			break
		}
	}
	return heads, nil
}

// dropStream deletes the row of a stream that has no rows of events, unless its process is alive.
func (s *Store) dropStream(ctx context.Context, r streamRow) error {
	err := s.writing(ctx, func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, deleteStream, r.ID, r.Trimmed)
		if err != nil || done.RowsAffected() == 0 {
			return err
		}
		_, err = tx.Exec(ctx, countDeleted, r.TrimmedTotal)
		return err
	})
	if err == nil {
		s.idleStreams.note(r, false, time.Time{})
	}
	return err
}
