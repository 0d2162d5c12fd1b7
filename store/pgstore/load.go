package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
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
SELECT k.n, b.chunk, b.first_at, coalesce(b.lease, ''), b.row
FROM unnest($1::smallint[], $2::text[], $3::text[]) WITH ORDINALITY AS k (slot, plan, batch_id, n)
JOIN batch b ON b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
ORDER BY b.slot, b.plan, b.batch_id FOR UPDATE OF b`

	// A recipient is written only by who has locked its batch.
	loadRecipients = `
SELECT k.n, k.digits, r.row
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::bigint[]) AS k (slot, plan, batch_id, digits, n)
JOIN recipient r ON r.slot = k.slot AND r.plan = k.plan AND r.batch_id = k.batch_id AND r.digits = k.digits`
)

// load reads and locks the rows that the step needs.
func (st *step) load(ctx context.Context, tx pgx.Tx) error {
	var batches, recipients keys
	var digits []string
	var places []int64
	for i, b := range st.batches {
		batches.add(b.slot, b.key)
		b.rows.Recipients = make(map[string]*store.Row, len(b.arrivals))
		for d := range b.touched() {
			recipients.add(b.slot, b.key)
			digits, places = append(digits, text(d)), append(places, int64(i+1))
		}
	}
	var queue pgx.Batch
	queue.Queue(nameBatches, batches.slots, batches.plans, batches.ids)
	queue.Queue(lockBatches, batches.slots, batches.plans, batches.ids).Query(st.takeBatches)
	if len(digits) > 0 {
		queue.Queue(loadRecipients, recipients.slots, recipients.plans, recipients.ids, digits, places).Query(st.takeRecipients)
	}
	if err := tx.SendBatch(ctx, &queue).Close(); err != nil {
		return err
	}
	for _, b := range st.batches {
		if !b.found {
			return errGone
		}
	}
	return nil
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
		)
		if err := rows.Scan(&place, &chunk, &born, &lease, &row); err != nil {
			return err
		}
		b := st.batches[place-1]
		b.found, b.lease = true, lease
		b.rows.Chunk = uint64(chunk) + 1
		b.rows.Batch = &store.Batch{Plan: b.key.Plan, ID: b.key.BatchID}
		if born == nil {
			continue
		}
		b.born = born.UTC()
		var err error
		if b.rows.Batch, err = decodeBatch(row); err != nil {
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
		r, err := decodeRecipient(row)
		if err != nil {
			return err
		}
		st.batches[place-1].rows.Recipients[plain(digits)] = &store.Row{Recipient: *r}
	}
	return rows.Err()
}
