package pgstore

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/s2"

	"github.com/dlrloop/dlrloop/store/packed"
)

// SQL statements that read and rewrite the rows of events, whose other columns stay as they are.
const (
	// The size of a row is known without reading it.
	scanEvents = `
SELECT stream, seq, newest, events, size, row, entries
FROM (
    SELECT stream, seq, newest, events, size, row, count(*) OVER () AS entries,
        sum(octet_length(row)) OVER (ORDER BY stream, seq) - octet_length(row) AS before
    FROM (SELECT stream, seq, newest, events, size, row FROM event_log
        WHERE slot = $1 AND (stream, seq) > ($2, $3) ORDER BY stream, seq LIMIT $4) n
) l
WHERE before < $5 ORDER BY stream, seq`

	rewriteEvents keyedSQL = `
UPDATE event_log l SET size = k.size, row = k.row
FROM unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::integer[], $5::bytea[], $6::bytea[]) AS k (slot, stream, seq, size, old, row)
WHERE l.slot = k.slot AND l.stream = k.stream AND l.seq = k.seq AND l.row = k.old
RETURNING l.stream, l.seq`

	// lockDestinations locks in the order of the names, so that two calls of Erase do not deadlock.
	lockDestinations = `SELECT name FROM destination WHERE NOT deleted ORDER BY name FOR UPDATE`

	// raiseDestinations makes each destination read what it has in memory again, and refuses what it wants to store.
	raiseDestinations = `UPDATE destination SET epoch = epoch + 1, last_id = last_id + 1 WHERE NOT deleted`
)

// eventScanRows is the maximum number of rows of events that are read at once.
const eventScanRows = 256

// erasedEvents is a row of events that contains the number.
type erasedEvents struct {
	head  *eventHead
	old   []byte       // the compressed row
	new   packedEvents // without the number
	count int          // how many events contained it
}

// eventLog erases the number from all rows of events, slot by slot and in each of them stream by stream. The newest of
// the changed rows is written last, together with the destinations: as long as a destination may have such an event in
// memory, another call finds that row.
func (e *erasing) eventLog(ctx context.Context) error {
	var last *erasedEvents
	for slot := range e.slots {
		for at, more := (eventKey{math.MinInt64, 0}), true; more; {
			var found []*erasedEvents
			var err error
			if found, more, err = e.scanEvents(ctx, int16(slot), &at); err != nil {
				return err
			}
			var others []*erasedEvents
			for _, r := range found {
				if last != nil && r.head.newest.Before(last.head.newest) {
					others = append(others, r)
					continue
				}
				if last != nil {
					others = append(others, last)
				}
				last = r
			}
			if err := e.rewriteEvents(ctx, others, false); err != nil {
				return err
			}
		}
	}
	if last == nil {
		return nil
	}
	return e.rewriteEvents(ctx, []*erasedEvents{last}, true)
}

// scanEvents reads rows of a slot after a place, and moves the place to the last one. It returns those that contain
// the number, and whether other rows may follow.
func (e *erasing) scanEvents(ctx context.Context, slot int16, at *eventKey,
) (found []*erasedEvents, more bool, err error) {
	type scanned struct {
		Stream, Seq int64
		Newest      time.Time
		Events      int
		Size        int
		Row         []byte
		All         int
	}
	rows, err := collect(ctx, e.Store, pgx.RowToStructByPos[scanned], scanEvents,
		slot, at.stream, at.seq, eventScanRows, eraseBytes)
	for _, r := range rows {
		*at, more = eventKey{r.Stream, r.Seq}, r.All == eventScanRows || len(rows) < r.All
		h := &eventHead{slot: slot, stream: r.Stream, seq: r.Seq, newest: r.Newest, events: r.Events}
		erased, err := e.events(h, packedEvents{r.Size, r.Row})
		if err != nil {
			return nil, false, err
		}
		if erased != nil {
			found = append(found, erased)
		}
	}
	return found, more, err
}

// events erases the number from a row of events. It returns nil if the row does not contain it.
func (e *erasing) events(h *eventHead, p packedEvents) (*erasedEvents, error) {
	if h.events == 0 {
		return nil, nil
	}
	events, err := decodeEvents(p, h.events)
	if err != nil {
		return nil, err
	}
	count := 0
	for i := range events {
		if e.number.Event(&events[i]) {
			count++
		}
	}
	if count == 0 {
		return nil, nil
	}
	plain := packed.AppendEvents(make(packed.Writer, 0, p.size+64*count), events)
	return &erasedEvents{h, p.row, packedEvents{len(plain), s2.Encode(nil, plain)}, count}, nil
}

// rewriteEvents writes changed rows. If destinations is set, the transaction also changes the destinations. Rows that
// another call has changed meanwhile are read and changed again; deleted rows are left out.
func (e *erasing) rewriteEvents(ctx context.Context, rows []*erasedEvents, destinations bool) error {
	for len(rows) > 0 {
		var left []*eventHead
		for _, part := range split(e.config.Dialect, rows, func(r *erasedEvents) int16 { return r.head.slot }) {
			unsaved, err := e.saveEvents(ctx, part, destinations)
			if err != nil {
				return err
			}
			left = append(left, unsaved...)
		}
		if len(left) == 0 {
			return nil
		}
		again, err := e.readEventRows(ctx, left)
		if err != nil {
			return err
		}
		rows = nil
		for _, h := range left {
			p, exists := again[eventKey{h.stream, h.seq}]
			if !exists {
				continue
			}
			r, err := e.events(h, p)
			if err != nil {
				return err
			}
			if r != nil {
				rows = append(rows, r)
			}
		}
	}
	return nil
}

// saveEvents writes changed rows in one transaction and returns the heads of those that were not as they had been read.
// See rewriteEvents for destinations.
func (e *erasing) saveEvents(ctx context.Context, rows []*erasedEvents, destinations bool,
) (left []*eventHead, err error) {
	var (
		slots         []int16
		streams, seqs []int64
		sizes         []int32
		old, erased   [][]byte
		saved         map[eventKey]bool
	)
	for _, r := range rows {
		slots, streams, seqs = append(slots, r.head.slot), append(streams, r.head.stream), append(seqs, r.head.seq)
		sizes, old, erased = append(sizes, int32(r.new.size)), append(old, r.old), append(erased, r.new.row)
	}
	err = e.change(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var queue pgx.Batch
		if destinations {
			queue.Queue(lockDestinations)
		}
		saved = make(map[eventKey]bool, len(rows))
		e.queue(&queue, rewriteEvents, slots, streams, seqs, sizes, old, erased).Query(func(all pgx.Rows) error {
			var k eventKey
			_, err := pgx.ForEachRow(all, []any{&k.stream, &k.seq}, func() error {
				saved[k] = true
				return nil
			})
			return err
		})
		if destinations {
			queue.Queue(raiseDestinations)
		}
		return tx.SendBatch(ctx, &queue).Close()
	})
	if err != nil {
		return nil, err
	}
	for _, r := range rows {
		if saved[eventKey{r.head.stream, r.head.seq}] {
			e.done.Events += r.count
			continue
		}
		left = append(left, r.head)
	}
	return left, nil
}
