package pgstore

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/s2"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/fold"
	"github.com/dlrloop/dlrloop/store/packed"
)

// saveEvents appends one row to a stream.
const saveEvents = `
INSERT INTO event_log (slot, stream, seq, newest, events, total, size, deps, row) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`

// Limits of a row of table event_log; a transaction with more events appends several rows. One event may have more
// bytes. A reader decodes a whole row even if it needs only one event.
const (
	rowEvents = 256
	rowBytes  = 1 << 20
)

// eventRow holds the columns of a row of table event_log, except slot and stream.
type eventRow struct {
	seq    int64
	newest time.Time
	events int
	total  int64
	size   int
	deps   []byte
	row    []byte
}

// scanInbound sets the field new of the inbound messages that load has inserted.
func (st *step) scanInbound(rows pgx.Rows) error {
	added := make(map[[2]string]bool)
	var plan, id string
	_, err := pgx.ForEachRow(rows, []any{&plan, &id}, func() error {
		added[[2]string{plan, id}] = true
		return nil
	})
	for i := range st.inbound {
		m := &st.inbound[i]
		k := [2]string{m.plan, m.id}
		m.new = added[k]
		delete(added, k) // the group may have the message twice
	}
	return err
}

// packEvents makes the rows with the events that follow from the arrivals, and sets the place of the latest event of
// each batch.
func (st *step) packEvents() {
	st.eventRows = nil
	events := st.collectEvents()
	if len(events) == 0 {
		return
	}
	seq, total := st.stream.last, st.stream.total
	deps := st.eventDeps()
	for len(events) > 0 {
		n, newest := rowLength(events)
		plain := packed.AppendEvents(make(packed.Writer, 0, 64*n), events[:n])
		seq, total, events = seq+1, total+int64(n), events[n:]
		st.eventRows = append(st.eventRows, eventRow{
			seq: seq, newest: newest, events: n, total: total, size: len(plain), deps: deps, row: s2.Encode(nil, plain),
		})
		deps = nil // the later rows follow the first one
	}
	id := st.stream.id
	for _, b := range st.batches {
		if len(b.rows.Events) > 0 {
			b.stream, b.seq = &id, &seq
		}
	}
}

// collectEvents returns the events of the transaction: those of batches, of new inbound messages, and of quarantined
// callbacks.
func (st *step) collectEvents() (events []store.Event) {
	for _, b := range st.batches {
		events = append(events, b.rows.Events...)
	}
	add := func(a store.Arrival, key string) {
		if e, ok := fold.EventOf(a, key, st.s.config.Policies(a.Plan)); ok {
			events = append(events, e)
		}
	}
	for i := range st.inbound {
		if st.inbound[i].new {
			add(st.inbound[i].arrival, "")
		}
	}
	for i, q := range st.quarantined {
		add(q.arrival, st.quarantineID(i))
	}
	return events
}

// rowLength returns how many of the events fit into one row, at least one, and the time of the newest of these.
func rowLength(events []store.Event) (n int, newest time.Time) {
	for size := 0; n < min(len(events), rowEvents) && (n == 0 || size < rowBytes); n++ {
		e := &events[n]
		size += 64 + len(e.Raw) + 16*len(e.Recipients)
		if e.At.After(newest) {
			newest = e.At
		}
	}
	return n, newest
}

// eventDeps returns the encoded rows of other streams that a reader must have passed before the events of the
// transaction: those with the previous events of the same batches. It returns nil if there are none.
func (st *step) eventDeps() []byte {
	deps := make(map[int64]int64)
	for _, b := range st.batches {
		if len(b.rows.Events) > 0 && b.stream != nil && *b.stream != st.stream.id {
			deps[*b.stream] = max(deps[*b.stream], *b.seq)
		}
	}
	var encoded []byte
	for _, id := range slices.Sorted(maps.Keys(deps)) {
		encoded = binary.BigEndian.AppendUint64(encoded, uint64(id))
		encoded = binary.AppendUvarint(encoded, uint64(deps[id]))
	}
	return encoded
}

// queueEvents adds to queue the statements that append the rows of the transaction to the stream.
func (st *step) queueEvents(queue *pgx.Batch) {
	for _, r := range st.eventRows {
		queue.Queue(saveEvents, st.stream.slotOf(st.counts), st.stream.id, r.seq, r.newest, r.events, r.total, r.size,
			r.deps, r.row)
	}
}
