package pgstore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// SQL statements on table event_stream, whose rows name the streams of all lanes, and on the rows of one stream.
const (
	createStream = `
INSERT INTO event_stream (id, token, home, trimmed, trimmed_total) VALUES ($1, $2, $3, 0, 0) ON CONFLICT (id) DO NOTHING`

	countStreams = `SELECT count(*) FROM event_stream WHERE id = $1`

	endStreams = `UPDATE event_stream SET token = '' WHERE id = ANY($1::bigint[])`

	// If the other transaction that inserts this row is still running, the statement waits for its end.
	fillEvents = `
INSERT INTO event_log (slot, stream, seq, newest, events, total, size, row) VALUES ($1, $2, $3, $4, 0, $5, 0, '')
ON CONFLICT (slot, stream, seq) DO NOTHING`

	readTotal = `SELECT total FROM event_log WHERE slot = $1 AND stream = $2 AND seq = $3`
)

// spread is the value of event_stream.home of a stream whose rows lie in several slots.
const spread = -1

// staleAfter is how long after its last heartbeat a process assumes that the rows of its streams exist. It is far less
// than the time after which another process may delete them: deleteAfter and dropAfter.
const staleAfter = deleteAfter / 2

// stream is the sequence of rows in table event_log to which one lane appends events. A lane commits one transaction at
// a time, so the order of the rows is that of the commits. Only the lane's goroutine uses it.
type stream struct {
	id    int64 // random; 0 before the first event
	home  int16 // the slot of all rows, or spread
	known bool  // there is a row in table event_stream
	last  int64 // seq of the last row; 0 for none
	total int64 // the number of events up to that row

	doubt *doubt  // nil unless the COMMIT of the last run with events was not confirmed
	ended []int64 // earlier streams of the lane whose row in event_stream still has the token of this process
}

// doubt names the rows of a transaction whose COMMIT was not confirmed: either all of them are stored or none.
type doubt struct {
	slot   int16
	last   int64 // seq of the last one
	newest time.Time
}

// openStreams makes the streams of all lanes, the slow lane last.
func (s *Store) openStreams() {
	for i := range s.config.Lanes + 1 {
		home := int16(spread)
		if !s.config.Dialect.oneSlot() {
			home = int16((s.firstCountSlot + i) % s.slots)
		}
		s.streams = append(s.streams, &stream{home: home})
	}
}

// streamOf returns the stream of the lane that commits the arrival r.
func (s *Store) streamOf(r *recorded) *stream {
	if r.slow {
		return s.streams[s.config.Lanes]
	}
	return s.streams[int(r.slot)%s.config.Lanes]
}

// anyEvents reports whether the policy of a plan of the group enables events.
func (s *Store) anyEvents(group []recorded) bool {
	plan, known := "", false
	for i := range group {
		if p := group[i].arrival.Plan; !known || p != plan {
			if s.config.Policies(p).Events {
				return true
			}
			plan, known = p, true
		}
	}
	return false
}

// slotOf returns the slot of the rows that a transaction appends. counts is the slot to which it adds its counts.
func (w *stream) slotOf(counts int16) int16 {
	if w.home == spread {
		return counts
	}
	return w.home
}

// prepareStream makes sure, in transactions of its own, that the stream has a row in event_stream and that the rows of
// all earlier runs are stored or never will be. It returns at once if both are certain, as usual.
func (st *step) prepareStream(ctx context.Context, conn *pgx.Conn) error {
	w, s := st.stream, st.s
	if v := s.replicas.view.Load(); elapsed(v.began, time.Now()) >= staleAfter {
		w.known = false
	}
	if !w.known {
		if err := s.create(ctx, conn, w); err != nil {
			return err
		}
	}
	if w.doubt != nil {
		return s.settleDoubt(ctx, conn, w)
	}
	return nil
}

// create stores the row of a stream in event_stream unless it exists. A new stream gets its id first. If the stream was
// deleted, the lane starts a new one.
func (s *Store) create(ctx context.Context, conn *pgx.Conn, w *stream) error {
	if w.last > 0 || w.doubt != nil {
		exists, err := s.streamExists(ctx, conn, w)
		if err != nil {
			return err
		}
		if !exists {
			*w = stream{home: w.home, ended: w.ended}
		}
	}
	for w.id == 0 {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails
		w.id = int64(binary.BigEndian.Uint64(b[:]) >> 1)
	}
	var queue pgx.Batch
	queue.Queue(s.config.Dialect.begin())
	queue.Queue(createStream, w.id, s.replicas.self.token, w.home)
	if len(w.ended) > 0 {
		queue.Queue(endStreams, w.ended)
	}
	queue.Queue(`COMMIT`)
	if err := conn.SendBatch(ctx, &queue).Close(); err != nil {
		return err
	}
	w.known, w.ended = true, nil
	return nil
}

// streamExists reports whether a stream has a row in event_stream or at least one in event_log. If it has neither,
// another process deleted the stream because this one had no heartbeat for a long time, or a failover lost it.
func (s *Store) streamExists(ctx context.Context, conn *pgx.Conn, w *stream) (found bool, err error) {
	var queue pgx.Batch
	queue.Queue(countStreams, w.id).QueryRow(func(row pgx.Row) error {
		var n int
		err := row.Scan(&n)
		found = found || n > 0
		return err
	})
	for _, slot := range s.slotsOf(streamRow{Home: w.home}) {
		queue.Queue(readLastHead, slot, w.id).Query(func(rows pgx.Rows) error {
			found = rows.Next() || found
			return nil // Close returns the error
		})
	}
	err = conn.SendBatch(ctx, &queue).Close()
	return found, err
}

// settleDoubt appends an empty row in place of each row whose transaction was not confirmed, unless that row is stored.
// So the stream has no gap, and a transaction that is still running on the server can no longer commit its events.
func (s *Store) settleDoubt(ctx context.Context, conn *pgx.Conn, w *stream) error {
	var queue pgx.Batch
	queue.Queue(s.config.Dialect.begin())
	for seq := w.last + 1; seq <= w.doubt.last; seq++ {
		queue.Queue(fillEvents, w.doubt.slot, w.id, seq, w.doubt.newest, w.total)
	}
	var total int64
	queue.Queue(readTotal, w.doubt.slot, w.id, w.doubt.last).QueryRow(func(row pgx.Row) error { return row.Scan(&total) })
	queue.Queue(`COMMIT`)
	if err := conn.SendBatch(ctx, &queue).Close(); err != nil {
		return err
	}
	w.last, w.total, w.doubt = w.doubt.last, total, nil
	return nil
}

// ran notes how the run st of a transaction ended. A run that was certainly rolled back leaves its place in the stream
// to the next one.
func (w *stream) ran(st *step, err error) {
	_, unknown := errors.AsType[unknownError](err)
	switch {
	case errors.Is(err, errHidden):
		return
	case err != nil:
		// A failover without synchronous standbys may have lost the row in event_stream.
		w.known = false
	}
	if len(st.eventRows) == 0 {
		return
	}
	last := &st.eventRows[len(st.eventRows)-1]
	switch {
	case err == nil:
		w.last, w.total = last.seq, last.total
	case unknown || errors.Is(err, errReplicationWaitCanceled):
		w.doubt = &doubt{slot: w.slotOf(st.counts), last: last.seq, newest: last.newest}
	case isStreamConflict(err):
		w.ended = append(w.ended, w.id)
		*w = stream{home: w.home, ended: w.ended}
	}
}

// isStreamConflict reports whether err means that a row of a stream already exists, which only a failover that lost
// commits can cause. The lane then starts a new stream.
func isStreamConflict(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && refused.Code == "23505" && strings.HasPrefix(refused.TableName, "event_log") // with Citus a shard of it
}
