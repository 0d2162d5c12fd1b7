package pgstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// SQL statements that write the rows that arrivals have changed. Columns check_due and check_minute say when the
// missing reports of a batch are due to be fetched from Sinch.
const (
	saveBatches keyedSQL = setBatches + fromSaved + asSaved + whereSaved

	// saveBatchesWithEvents also writes where the latest event of each batch is.
	saveBatchesWithEvents keyedSQL = setBatches + `, event_stream = k.event_stream, event_seq = k.event_seq` +
		fromSaved + `, $13::bigint[], $14::bigint[]` + asSaved + `, event_stream, event_seq` + whereSaved

	setBatches = `
UPDATE batch b SET chunk = k.chunk, first_at = k.first_at, last_at = k.last_at, reference = k.reference, due = k.due,
    dead = k.dead, check_due = k.check_due, check_minute = date_trunc('minute', k.check_due), lease = nullif(k.lease, ''), lease_until = CASE WHEN k.lease = '' THEN NULL ELSE b.lease_until END,
    row = k.row`

	fromSaved = `
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::timestamptz[], $7::bytea[], $8::timestamptz[],
    $9::boolean[], $10::timestamptz[], $11::text[], $12::bytea[]`

	asSaved = `)
    AS k (slot, plan, batch_id, chunk, first_at, last_at, reference, due, dead, check_due, lease, row`

	whereSaved = `)
WHERE b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id`

	// Which recipients have a row is known since their batch was locked, so new ones need a plain INSERT. INSERT … ON
	// CONFLICT costs half as much again.
	addRecipients keyedSQL = `
INSERT INTO recipient (slot, plan, batch_id, digits, first_at, day, hash, feedback, status, row)
SELECT slot, plan, batch_id, digits, first_at, day, hash, feedback, status, row
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::text[], $7::bytea[],
    $8::timestamptz[], $9::integer[], $10::integer[])
    AS k (slot, plan, batch_id, digits, feedback, status, row, first_at, day, hash)`

	changeRecipients keyedSQL = `
UPDATE recipient r SET feedback = k.feedback, status = k.status, row = k.row
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::text[], $7::bytea[])
    AS k (slot, plan, batch_id, digits, feedback, status, row)
WHERE r.slot = k.slot AND r.plan = k.plan AND r.batch_id = k.batch_id AND r.digits = k.digits`

	saveReports keyedSQL = `
INSERT INTO report_log (slot, plan, batch_id, chunk, place, received_at, type, source, raw)
SELECT slot, plan, batch_id, chunk, place, received_at, type, source, raw
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::timestamptz[], $7::text[], $8::smallint[], $9::bytea[])
    AS k (slot, plan, batch_id, chunk, place, received_at, type, source, raw)`
)

// save writes all rows that the arrivals have changed and commits, in one round trip. If a statement fails, the server
// skips all later ones, including COMMIT.
func (st *step) save(ctx context.Context, conn *pgx.Conn) error {
	var queue pgx.Batch
	if len(st.batches) > 0 {
		st.queueBatches(&queue)
		st.queueRecipients(&queue)
		st.queueReports(&queue)
	}
	st.queueMinutes(&queue)
	st.queueQuarantined(&queue)
	if st.events {
		st.queueEvents(&queue)
	} else {
		st.s.queueInbound(&queue, saveInbound, st.inbound)
	}
	st.s.queueTotals(&queue, st.totals) // last, because concurrent commits wait for the locks on these rows
	if st.trial {
		st.queueDeletion(&queue)
	}
	committed := errors.New("connection lost")
	queue.Queue(`COMMIT`).Exec(func(done pgconn.CommandTag) error {
		if committed = nil; done.String() != "COMMIT" {
			committed = pgx.ErrTxCommitRollback
		}
		return committed
	})
	if err := conn.SendBatch(ctx, &queue).Close(); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	if committed != nil {
		return fmt.Errorf("save: %w", committed)
	}
	return nil
}

// queueBatches adds to queue the statement that updates the batch rows of the transaction.
func (st *step) queueBatches(queue *pgx.Batch) {
	var (
		k                keys
		chunks           []int64
		first, last      []time.Time
		references, rows [][]byte
		due, fetchDue    []*time.Time
		dead             []bool
		leases           []string
		streams, seqs    []*int64
	)
	for _, b := range st.batches {
		batch, chunk := b.rows.Batch, b.rows.Chunk
		if len(b.rows.Log) == 0 {
			chunk--
		}
		k.add(b.slot, b.key)
		chunks = append(chunks, int64(chunk))
		first, last = append(first, b.firstAt), append(last, batch.LastAt)
		references = append(references, referenceOf(batch.ClientReference))
		due = append(due, dueOf(batch))
		dead = append(dead, batch.Dead != nil)
		fetchDue = append(fetchDue, fetchDueOf(batch))
		leases = append(leases, b.lease)
		b.saved = packed.EncodeBatch(batch)
		rows = append(rows, b.saved)
		if st.events {
			streams, seqs = append(streams, b.stream), append(seqs, b.seq)
		}
	}
	columns := []any{k.plans, k.ids, chunks, first, last, references, due, dead, fetchDue, leases, rows}
	if st.events {
		st.s.queue(queue, saveBatchesWithEvents, k.slots, append(columns, streams, seqs)...)
		return
	}
	st.s.queue(queue, saveBatches, k.slots, columns...)
}

// referenceOf returns the indexed form of a client reference: the first 16 bytes of its SHA-256, because the text may
// be too long for an index. It returns nil for an empty reference.
func referenceOf(reference string) []byte {
	if reference == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(reference))
	return sum[:16]
}

// dueOf returns when the feedback task of b is due, or nil if b has no task.
func dueOf(b *store.Batch) *time.Time {
	if b.Task == nil {
		return nil
	}
	return &b.Task.Due
}

// fetchDueOf returns when the missing reports of b are due to be fetched, or nil if none are to be fetched.
func fetchDueOf(b *store.Batch) *time.Time {
	if b.Fetch == nil || b.Fetch.Due.IsZero() {
		return nil
	}
	return &b.Fetch.Due
}

// queueRecipients adds to queue the statements that insert new recipient rows and update changed ones.
func (st *step) queueRecipients(queue *pgx.Batch) {
	var (
		added, changed recipients
		first          []time.Time
		days, hashes   []int32
	)
	for _, b := range st.batches {
		for _, d := range slices.Sorted(maps.Keys(b.rows.Recipients)) {
			r := b.rows.Recipients[d]
			switch {
			case r.New:
				added.add(b, d, &r.Recipient)
				first, days, hashes = append(first, b.firstAt), append(days, dayOf(b.firstAt)), append(hashes, hashOf(escape(d)))
			case r.Changed:
				changed.add(b, d, &r.Recipient)
			}
		}
	}
	if len(added.rows) > 0 {
		st.s.queue(queue, addRecipients, added.slots, append(added.columns(), first, days, hashes)...)
	}
	if len(changed.rows) > 0 {
		st.s.queue(queue, changeRecipients, changed.slots, changed.columns()...)
	}
}

// recipients holds rows of table recipient, one slice per column, as arguments of unnest.
type recipients struct {
	keys
	digits, statuses []string
	feedback         []int16
	rows             [][]byte
}

// add adds the row of a recipient of batch b. digits is the key of the row and must not be escaped yet.
func (k *recipients) add(b *batchArrivals, digits string, r *store.Recipient) {
	held, _ := r.State()
	k.keys.add(b.slot, b.key)
	k.digits, k.statuses = append(k.digits, escape(digits)), append(k.statuses, escape(string(held.Status)))
	k.feedback = append(k.feedback, int16(r.Feedback))
	k.rows = append(k.rows, packed.EncodeRecipient(r, digits))
}

// columns returns the slices of all columns except the slot, in the order of the parameters of addRecipients.
func (k *recipients) columns() []any {
	return []any{k.plans, k.ids, k.digits, k.feedback, k.statuses, k.rows}
}

// hashOf returns the value of the indexed column hash, by which queries find the batches of a phone number. digits is
// escaped (see escape).
func hashOf(digits string) int32 {
	sum := sha256.Sum256([]byte(digits))
	return int32(binary.BigEndian.Uint32(sum[:]))
}

// dayOf returns the UTC day of t as the number of days since 1970-01-01.
func dayOf(t time.Time) int32 {
	const day = 24 * 60 * 60
	seconds := t.Unix()
	return int32((seconds - (seconds%day+day)%day) / day)
}

// queueReports adds to queue the statement that inserts the raw reports of the transaction.
func (st *step) queueReports(queue *pgx.Batch) {
	var (
		k              keys
		chunks, places []int64
		received       []time.Time
		types          []string
		sources        []int16
		raws           [][]byte
	)
	for _, b := range st.batches {
		for i, l := range b.rows.Log {
			k.add(b.slot, b.key)
			chunks, places = append(chunks, int64(b.rows.Chunk)), append(places, int64(i))
			received = append(received, l.ReceivedAt)
			types = append(types, escape(string(l.Type)))
			sources = append(sources, int16(l.Source))
			raws = append(raws, notNull(l.Raw))
		}
	}
	if len(raws) > 0 {
		st.s.queue(queue, saveReports, k.slots, k.plans, k.ids, chunks, places, received, types, sources, raws)
	}
}

// notNull returns b, or an empty slice if b is nil, because pgx encodes nil as NULL.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
