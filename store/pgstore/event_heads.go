package pgstore

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/s2"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// SQL statements that read the streams, and the rows of table event_log by key. The heads are all columns but the
// events themselves.
const (
	readStreams = `SELECT id, token, home, trimmed, trimmed_total FROM event_stream`

	// readHeads reads the first row after a place, however many rows are missing before it, and those that follow.
	readHeads keyedSQL = `
SELECT l.slot, l.stream, l.seq, l.newest, l.events, l.total, l.size, l.deps
FROM unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS k (slot, stream, after, most)
JOIN event_log l ON l.slot = k.slot AND l.stream = k.stream AND l.seq > k.after AND l.seq < k.most + (
    SELECT min(f.seq) FROM event_log f WHERE f.slot = k.slot AND f.stream = k.stream AND f.seq > k.after
)`

	readEvents keyedSQL = `
SELECT l.stream, l.seq, l.size, l.row
FROM unnest($1::smallint[], $2::bigint[], $3::bigint[]) AS k (slot, stream, seq)
JOIN event_log l ON l.slot = k.slot AND l.stream = k.stream AND l.seq = k.seq`

	readLastHead = `SELECT stream, seq, total FROM event_log WHERE slot = $1 AND stream = $2 ORDER BY seq DESC LIMIT 1`
)

// eventHead is a row of table event_log without its events.
type eventHead struct {
	slot        int16
	stream, seq int64
	newest      time.Time
	events      int
	total       int64
	size        int
	deps        map[int64]int64 // the rows that a reader must have passed before, by stream
}

func headOf(row pgx.CollectableRow) (*eventHead, error) {
	var h eventHead
	var deps []byte
	err := row.Scan(&h.slot, &h.stream, &h.seq, &h.newest, &h.events, &h.total, &h.size, &deps)
	if err == nil && len(deps) > 0 {
		h.deps, err = decodeDeps(deps)
	}
	return &h, err
}

// readStreams returns the rows of table event_stream.
func (s *Store) readStreams(ctx context.Context) (*eventStreams, error) {
	rows, err := collect(ctx, s, pgx.RowToStructByPos[streamRow], readStreams)
	if err != nil {
		return nil, err
	}
	e := &eventStreams{rows: make(map[int64]streamRow, len(rows))}
	for _, r := range rows {
		if r.ID == 0 {
			e.deleted = r.TrimmedTotal
			continue
		}
		e.rows[r.ID] = r
	}
	return e, nil
}

// slotsOf returns the slots in which a stream may have rows.
func (s *Store) slotsOf(r streamRow) (slots []int16) {
	if r.Home != spread {
		return []int16{r.Home}
	}
	for slot := range s.slots {
		slots = append(slots, int16(slot))
	}
	return slots
}

// eventRange selects rows of a stream in one slot: those after the row after.
type eventRange struct {
	slot          int16
	stream, after int64
}

// readHeads returns, for each stream, the heads of the rows after its place in p, in the order of seq: the first one,
// and those whose seq is less than n larger. With Citus and Portable the heads of several slots are read one after the
// other, so a row may be missing although a later row is there.
func (s *Store) readHeads(ctx context.Context, e *eventStreams, p eventPosition, n int64,
) (map[int64][]*eventHead, error) {
	var ranges []eventRange
	for id, r := range e.rows {
		after := p.streams[id].seq
		for _, slot := range s.slotsOf(r) {
			ranges = append(ranges, eventRange{slot, id, after})
		}
	}
	var queue pgx.Batch
	for _, part := range split(s.config.Dialect, ranges, func(r eventRange) int16 { return r.slot }) {
		var slots []int16
		var streams, afters, most []int64
		for _, r := range part {
			slots, streams = append(slots, r.slot), append(streams, r.stream)
			afters, most = append(afters, r.after), append(most, n)
		}
		s.queue(&queue, readHeads, slots, streams, afters, most)
	}
	if queue.Len() == 0 {
		return nil, nil
	}
	found, err := collectQueue(ctx, s, headOf, &queue)
	heads := make(map[int64][]*eventHead, len(e.rows))
	slices.SortFunc(found, func(a, b *eventHead) int { return cmp.Compare(a.seq, b.seq) })
	for _, h := range found {
		if read := heads[h.stream]; len(read) == 0 || h.seq < read[0].seq+n { // so far all slots were read
			heads[h.stream] = append(read, h)
		}
	}
	return heads, err
}

// eventKey is the key of a row of table event_log, except the slot.
type eventKey struct{ stream, seq int64 }

// readEvents returns the events of the rows with these heads, by key. A row that was deleted meanwhile is left out.
func (s *Store) readEvents(ctx context.Context, heads []*eventHead) (map[eventKey][]store.Event, error) {
	rows, err := s.readEventRows(ctx, heads)
	if err != nil {
		return nil, err
	}
	events := make(map[eventKey][]store.Event, len(heads))
	for _, h := range heads {
		k := eventKey{h.stream, h.seq}
		if row, ok := rows[k]; ok {
			if events[k], err = decodeEvents(row, h.events); err != nil {
				return nil, err
			}
		}
	}
	return events, nil
}

// packedEvents holds the columns row and size of a row of table event_log. Erase changes both, so they are read with
// one statement.
type packedEvents struct {
	size int
	row  []byte
}

// readEventRows returns the compressed events of the rows with these heads, by key. A row that was deleted meanwhile is
// left out.
func (s *Store) readEventRows(ctx context.Context, heads []*eventHead) (map[eventKey]packedEvents, error) {
	var queue pgx.Batch
	for _, part := range split(s.config.Dialect, heads, func(h *eventHead) int16 { return h.slot }) {
		var slots []int16
		var streams, seqs []int64
		for _, h := range part {
			slots, streams, seqs = append(slots, h.slot), append(streams, h.stream), append(seqs, h.seq)
		}
		s.queue(&queue, readEvents, slots, streams, seqs)
	}
	type found struct {
		Stream, Seq int64
		Size        int
		Row         []byte
	}
	all, err := collectQueue(ctx, s, pgx.RowToStructByPos[found], &queue)
	rows := make(map[eventKey]packedEvents, len(all))
	for _, r := range all {
		rows[eventKey{r.Stream, r.Seq}] = packedEvents{r.Size, r.Row}
	}
	return rows, err
}

// readEnd returns the place after the last row of each stream.
func (s *Store) readEnd(ctx context.Context, e *eventStreams) (eventPosition, error) {
	end := e.oldest()
	var queue pgx.Batch
	for id, r := range e.rows {
		for _, slot := range s.slotsOf(r) {
			queue.Queue(readLastHead, slot, id)
		}
	}
	if queue.Len() == 0 {
		return end, nil
	}
	type last struct{ Stream, Seq, Total int64 }
	found, err := collectQueue(ctx, s, pgx.RowToStructByPos[last], &queue)
	for _, l := range found {
		if l.Seq > end.streams[l.Stream].seq {
			end.streams[l.Stream] = streamPosition{seq: l.Seq, total: l.Total}
		}
	}
	return end, err
}

// decodeDeps returns what eventDeps encoded: the largest seq of each stream.
func decodeDeps(encoded []byte) (map[int64]int64, error) {
	deps := make(map[int64]int64)
	for len(encoded) > 0 {
		if len(encoded) < 9 {
			return nil, fmt.Errorf("%w: the deps of events are cut off", store.ErrDamaged)
		}
		seq, n := binary.Uvarint(encoded[8:])
		if n <= 0 {
			return nil, fmt.Errorf("%w: the deps of events are not valid", store.ErrDamaged)
		}
		deps[int64(binary.BigEndian.Uint64(encoded))] = int64(seq)
		encoded = encoded[8+n:]
	}
	return deps, nil
}

// decodeEvents returns the events of a row of table event_log, which must be as many as in column events.
func decodeEvents(p packedEvents, events int) ([]store.Event, error) {
	if n, err := s2.DecodedLen(p.row); err != nil || n != p.size {
		return nil, fmt.Errorf("%w: a row of events has another size than stored", store.ErrDamaged)
	}
	plain, err := s2.Decode(nil, p.row)
	if err != nil {
		return nil, fmt.Errorf("%w: decompress events: %w", store.ErrDamaged, err)
	}
	decoded, err := packed.DecodeEvents(plain)
	if err == nil && len(decoded) != events {
		err = fmt.Errorf("a row has %d events, not %d", len(decoded), events)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	return decoded, nil
}
