package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// keys are columns of an unnest.
type keys struct {
	slots      []int16
	plans, ids []string
}

func (k *keys) add(slot int16, key store.BatchKey) {
	k.slots, k.plans, k.ids = append(k.slots, slot), append(k.plans, text(key.Plan)), append(k.ids, text(key.BatchID))
}

// Naming comes first and locking second, both in the order of the keys: while it names, a transaction holds only rows that
// no other can see, so none waits for it that it might wait for.
const (
	nameBatches = `
INSERT INTO batch (slot, plan, batch_id)
SELECT slot, plan, batch_id FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (slot, plan, batch_id)
ON CONFLICT (slot, plan, batch_id) DO NOTHING`

	lockBatches = `
SELECT k.n, b.chunk, b.first_at, coalesce(b.lease, ''), b.row, b.gone
FROM unnest($1::smallint[], $2::text[], $3::text[]) WITH ORDINALITY AS k (slot, plan, batch_id, n)
JOIN batch b ON b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
ORDER BY b.slot, b.plan, b.batch_id FOR UPDATE OF b`

	// A recipient is written only by who has locked its batch.
	loadRecipients = `
SELECT k.n, k.digits, r.row
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::bigint[]) AS k (slot, plan, batch_id, digits, n)
JOIN recipient r ON r.slot = k.slot AND r.plan = k.plan AND r.batch_id = k.batch_id AND r.digits = k.digits`
)

// load begins the transaction, and reads and locks the rows that the step needs, in one round trip.
func (st *step) load(ctx context.Context, conn *pgx.Conn) error {
	var unnamed, batches, recipients keys
	var digits []string
	var places []int64
	for i, b := range st.batches {
		if !st.s.known.has(b.key) {
			unnamed.add(b.slot, b.key)
		}
		batches.add(b.slot, b.key)
		b.rows.Recipients = make(map[string]*store.Row, len(b.arrivals))
		for d := range b.touched() {
			recipients.add(b.slot, b.key)
			digits, places = append(digits, text(d)), append(places, int64(i+1))
		}
	}
	var queue pgx.Batch
	queue.Queue(st.s.config.Dialect.begin())
	if len(unnamed.slots) > 0 {
		queue.Queue(nameBatches, unnamed.slots, unnamed.plans, unnamed.ids)
	}
	if len(st.batches) > 0 {
		queue.Queue(lockBatches, batches.slots, batches.plans, batches.ids).Query(st.takeBatches)
	}
	st.queueMark(&queue, conn)
	if len(digits) > 0 {
		queue.Queue(loadRecipients, recipients.slots, recipients.plans, recipients.ids, digits, places).Query(st.takeRecipients)
	}
	if err := st.send(ctx, conn, &queue); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return st.complete()
}

// complete returns errGone unless all rows of batches were found.
func (st *step) complete() (err error) {
	for _, b := range st.batches {
		if !b.found {
			st.s.known.forget(b.key)
			err = errGone
		}
	}
	return err
}

// touched are the digits of the recipients whose rows the fold needs.
func (b *batchArrivals) touched() map[string]struct{} {
	digits := make(map[string]struct{}, len(b.arrivals))
	for _, a := range b.arrivals {
		store.Touches(a, func(d string) { digits[d] = struct{}{} })
	}
	return digits
}

func (st *step) takeBatches(rows pgx.Rows) error {
	for rows.Next() {
		var (
			place, chunk int64
			born         *time.Time
			lease        string
			row          []byte
			gone         bool
		)
		if err := rows.Scan(&place, &chunk, &born, &lease, &row, &gone); err != nil {
			return err
		}
		b := st.batches[place-1]
		if gone {
			st.gone = append(st.gone, entry{slot: b.slot, plan: text(b.key.Plan), id: text(b.key.BatchID)})
			continue
		}
		b.found, b.lease = true, lease
		b.rows.Chunk = uint64(chunk) + 1
		b.rows.Batch = &store.Batch{Plan: b.key.Plan, ID: b.key.BatchID}
		if born == nil {
			continue
		}
		b.born = born.UTC()
		var err error
		if b.rows.Batch, err = packed.DecodeBatch(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (st *step) takeRecipients(rows pgx.Rows) error {
	for rows.Next() {
		var (
			place  int64
			digits string
			row    []byte
		)
		if err := rows.Scan(&place, &digits, &row); err != nil {
			return err
		}
		r, err := decodeRecipient(row, digits)
		if err != nil {
			return err
		}
		st.batches[place-1].rows.Recipients[plain(digits)] = &store.Row{Recipient: *r}
	}
	return rows.Err()
}
