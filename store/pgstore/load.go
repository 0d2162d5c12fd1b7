package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/fold"
	"github.com/dlrloop/dlrloop/store/packed"
)

// keys holds keys of batches, one slice per column, as arguments of SQL's unnest. The texts are escaped (see escape).
type keys struct {
	slots      []int16
	plans, ids []string
}

func (k *keys) add(slot int16, key store.BatchKey) {
	k.slots, k.plans, k.ids = append(k.slots, slot), append(k.plans, escape(key.Plan)), append(k.ids, escape(key.BatchID))
}

// SQL statements with which load inserts missing batch rows and then locks all batch rows, both in the order of the
// keys. This cannot deadlock: a transaction that inserts has locked only its new rows, which others cannot see.
const (
	insertBatches keyedSQL = `
INSERT INTO batch (slot, plan, batch_id)
SELECT slot, plan, batch_id FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (slot, plan, batch_id)
ON CONFLICT (slot, plan, batch_id) DO NOTHING`

	lockBatches keyedSQL = `
SELECT k.n, b.chunk, b.first_at, coalesce(b.lease, ''), b.row, b.gone` + fromLocked

	// lockBatchesWithEvents also reads where the latest event of each batch is.
	lockBatchesWithEvents keyedSQL = `
SELECT k.n, b.chunk, b.first_at, coalesce(b.lease, ''), b.row, b.gone, b.event_stream, b.event_seq` + fromLocked

	fromLocked = `
FROM unnest($1::smallint[], $2::text[], $3::text[]) WITH ORDINALITY AS k (slot, plan, batch_id, n)
JOIN batch b ON b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
ORDER BY b.slot, b.plan, b.batch_id FOR UPDATE OF b`

	// Only a transaction that has locked the batch writes its recipients, so they need no locks.
	loadRecipients keyedSQL = `
SELECT k.n, k.digits, r.row
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::bigint[]) AS k (slot, plan, batch_id, digits, n)
JOIN recipient r ON r.slot = k.slot AND r.plan = k.plan AND r.batch_id = k.batch_id AND r.digits = k.digits`
)

// load begins the transaction, locks its batches and reads their rows and recipients, in one round trip. With events it
// also inserts the inbound messages, because only a new message has an event. load returns errHidden if retention is
// deleting a batch.
func (st *step) load(ctx context.Context, conn *pgx.Conn) error {
	var uncached, batches, recipients keys
	var digits []string
	var numbers []int64
	for i, b := range st.batches {
		if !st.s.rowCache.has(b.key) {
			uncached.add(b.slot, b.key)
		}
		batches.add(b.slot, b.key)
		b.rows.Recipients = make(map[string]*fold.Row, len(b.arrivals))
		for d := range b.touched() {
			recipients.add(b.slot, b.key)
			digits, numbers = append(digits, escape(d)), append(numbers, int64(i+1))
		}
	}
	var queue pgx.Batch
	queue.Queue(st.s.config.Dialect.begin())
	if len(uncached.slots) > 0 {
		st.s.queue(&queue, insertBatches, uncached.slots, uncached.plans, uncached.ids)
	}
	if len(st.batches) > 0 {
		lock := lockBatches
		if st.events {
			lock = lockBatchesWithEvents
		}
		st.s.queue(&queue, lock, batches.slots, batches.plans, batches.ids).Query(st.scanBatches)
	}
	if len(digits) > 0 {
		st.s.queue(&queue, loadRecipients, recipients.slots, recipients.plans, recipients.ids, digits, numbers).
			Query(st.scanRecipients)
	}
	if st.events && len(st.inbound) > 0 {
		st.s.queueInbound(&queue, saveInboundWithEvents, st.inbound).Query(st.scanInbound)
	}
	if err := conn.SendBatch(ctx, &queue).Close(); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return st.complete()
}

// complete returns errHidden if retention is deleting or has deleted a batch: its row is hidden or missing. It removes
// such batches from the row cache.
func (st *step) complete() (err error) {
	for _, b := range st.batches {
		if !b.found {
			st.s.rowCache.remove(b.key)
			err = errHidden
		}
	}
	return err
}

// touched returns the digits of all recipients that the arrivals name. Their rows are needed to apply the arrivals.
func (b *batchArrivals) touched() map[string]struct{} {
	digits := make(map[string]struct{}, len(b.arrivals))
	for _, a := range b.arrivals {
		fold.Touches(a, func(d string) { digits[d] = struct{}{} })
	}
	return digits
}

// scanBatches stores the locked batch rows in st.batches, but lists hidden batches (being deleted) in st.hidden.
func (st *step) scanBatches(rows pgx.Rows) error {
	for rows.Next() {
		var (
			number, chunk int64
			firstAt       *time.Time
			lease         string
			row           []byte
			hidden        bool
			stream, seq   *int64
		)
		columns := []any{&number, &chunk, &firstAt, &lease, &row, &hidden}
		if st.events {
			columns = append(columns, &stream, &seq)
		}
		if err := rows.Scan(columns...); err != nil {
			return err
		}
		b := st.batches[number-1]
		b.stream, b.seq = stream, seq
		if hidden {
			st.hidden = append(st.hidden, entry{slot: b.slot, plan: escape(b.key.Plan), id: escape(b.key.BatchID)})
			continue
		}
		b.found, b.lease = true, lease
		b.rows.Chunk = uint64(chunk) + 1
		b.rows.Batch = &store.Batch{Plan: b.key.Plan, ID: b.key.BatchID}
		if firstAt == nil {
			continue
		}
		b.firstAt, b.loaded = firstAt.UTC(), row
		var err error
		if b.rows.Batch, err = packed.DecodeBatch(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (st *step) scanRecipients(rows pgx.Rows) error {
	for rows.Next() {
		var (
			number int64
			digits string
			row    []byte
		)
		if err := rows.Scan(&number, &digits, &row); err != nil {
			return err
		}
		r, err := decodeRecipient(row, digits)
		if err != nil {
			return err
		}
		st.batches[number-1].rows.Recipients[unescape(digits)] = &fold.Row{Recipient: *r}
	}
	return rows.Err()
}
