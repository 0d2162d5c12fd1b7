package pgstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// Lists over all slots take the first entries of each slot's index and of those the first of all.
const (
	listBatches = `
SELECT b.row, k.first_at FROM (
    SELECT b.slot, b.plan, b.batch_id, b.first_at FROM generate_series(0, $1::int - 1) AS s (slot) CROSS JOIN LATERAL (
        SELECT slot, plan, batch_id, first_at FROM batch
        WHERE slot = s.slot AND first_at >= $2::timestamptz AND first_at < $3::timestamptz
            AND (first_at, plan, batch_id) < ($4::timestamptz, $5::text, $6::text)
        ORDER BY first_at DESC, plan DESC, batch_id DESC LIMIT $7
    ) b ORDER BY b.first_at DESC, b.plan DESC, b.batch_id DESC LIMIT $7
) k JOIN batch b ON b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
ORDER BY k.first_at DESC, k.plan DESC, k.batch_id DESC`

	listReference = `
SELECT b.row, k.first_at FROM (
    SELECT b.slot, b.plan, b.batch_id, b.first_at FROM generate_series(0, $1::int - 1) AS s (slot) CROSS JOIN LATERAL (
        SELECT slot, plan, batch_id, first_at FROM batch
        WHERE slot = s.slot AND reference = $8 AND first_at >= $2::timestamptz AND first_at < $3::timestamptz
            AND (first_at, plan, batch_id) < ($4::timestamptz, $5::text, $6::text)
        ORDER BY first_at DESC, plan DESC, batch_id DESC LIMIT $7
    ) b ORDER BY b.first_at DESC, b.plan DESC, b.batch_id DESC LIMIT $7
) k JOIN batch b ON b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
ORDER BY k.first_at DESC, k.plan DESC, k.batch_id DESC`

	listPending = `
SELECT b.row FROM (
    SELECT b.slot, b.plan, b.batch_id, b.due FROM generate_series(0, $1::int - 1) AS s (slot) CROSS JOIN LATERAL (
        SELECT slot, plan, batch_id, due FROM batch
        WHERE slot = s.slot AND due IS NOT NULL AND %s
            AND (plan, due, batch_id) > ($3::text, $4::timestamptz, $5::text)
        ORDER BY plan, due, batch_id LIMIT $6
    ) b ORDER BY b.plan, b.due, b.batch_id LIMIT $6
) k JOIN batch b ON b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
ORDER BY k.plan, k.due, k.batch_id`

	listDead = `
SELECT b.row FROM (
    SELECT b.slot, b.plan, b.batch_id FROM generate_series(0, $1::int - 1) AS s (slot) CROSS JOIN LATERAL (
        SELECT slot, plan, batch_id FROM batch
        WHERE slot = s.slot AND dead AND %s
            AND (plan, batch_id) > ($3::text, $4::text)
        ORDER BY plan, batch_id LIMIT $5
    ) b ORDER BY b.plan, b.batch_id LIMIT $5
) k JOIN batch b ON b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
ORDER BY k.plan, k.batch_id`

	// What stands for %s in the lists of tasks.
	allPlans = "$2::text = ''"
	onePlan  = "plan = $2"

	listNumber = `
SELECT r.row, r.plan, r.batch_id, r.first_at FROM generate_series(0, $1::int - 1) AS s (slot) CROSS JOIN LATERAL (
    SELECT row, plan, batch_id, first_at FROM recipient
    WHERE slot = s.slot AND digits = $2 AND (first_at, plan, batch_id) < ($3::timestamptz, $4::text, $5::text)
    ORDER BY first_at DESC, plan DESC, batch_id DESC LIMIT $6
) r ORDER BY r.first_at DESC, r.plan DESC, r.batch_id DESC LIMIT $6`
)

// batchesLooked bounds the batches that a page looks at for few that are asked for.
const batchesLooked = 1000

// Batches lists batches, those first heard of last first.
func (s *Store) Batches(ctx context.Context, q store.BatchQuery) (page store.Page[*store.Batch], err error) {
	after, err := decodePlace("batches", q.Cursor)
	if err != nil {
		return page, err
	}
	to := pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}
	if !q.To.IsZero() {
		to = pgtype.Timestamptz{Time: q.To, Valid: true}
	}
	look := q.Size() + 1
	if q.Plan != "" || q.Status != "" || q.ClientReference != "" {
		look = max(look, batchesLooked)
	}
	sql, arguments := listBatches, []any{s.slots, q.From, to, after.before(), text(after.Plan), text(after.ID), look}
	if q.ClientReference != "" {
		sql, arguments = listReference, append(arguments, referenceOf(q.ClientReference))
	}
	rows, err := s.query(ctx, sql, arguments...)
	if err != nil {
		return page, err
	}
	var (
		row    []byte
		born   time.Time
		looked int
		last   place
	)
	_, err = pgx.ForEachRow(rows, []any{&row, &born}, func() error {
		if page.Next != "" {
			return nil
		}
		if len(page.Items) == q.Size() {
			page.Next = last.encode()
			return nil
		}
		b, err := decodeBatch(row)
		if err != nil {
			return err
		}
		if matches(b, q) {
			page.Items = append(page.Items, b)
		}
		at := born
		last = place{List: "batches", At: &at, Plan: b.Plan, ID: b.ID}
		looked++
		return nil
	})
	if looked == look {
		page.Next = last.encode()
	}
	return page, s.readError(err)
}

// placeOf is the cursor of a page that ended with b.
func placeOf(list string, at *time.Time, b *store.Batch) string {
	return place{List: list, At: at, Plan: b.Plan, ID: b.ID}.encode()
}

func matches(b *store.Batch, q store.BatchQuery) bool {
	return (q.Plan == "" || b.Plan == q.Plan) &&
		(q.ClientReference == "" || b.ClientReference == q.ClientReference) &&
		(q.Status == "" || b.States[q.Status] > 0 || slices.ContainsFunc(b.Reported, func(r store.Reported) bool {
			return r.Status == q.Status && r.Claimed > 0
		}))
}

// Tasks lists the batches whose feedback is pending or dead.
func (s *Store) Tasks(ctx context.Context, q store.TaskQuery) (page store.Page[*store.Batch], err error) {
	list := "pending"
	if q.Dead {
		list = "dead"
	}
	after, err := decodePlace(list, q.Cursor)
	if err != nil {
		return page, err
	}
	plan, of, size := "", allPlans, q.Size()
	if q.Plan != "" {
		plan, of = text(q.Plan), onePlan
	}
	if q.Dead {
		page.Items, err = s.batches(ctx, fmt.Sprintf(listDead, of), s.slots, plan, text(after.Plan), text(after.ID), size+1)
	} else {
		page.Items, err = s.batches(ctx, fmt.Sprintf(listPending, of), s.slots, plan, text(after.Plan), after.after(), text(after.ID), size+1)
	}
	if len(page.Items) > size {
		page.Items = page.Items[:size]
		page.Next = placeOf(list, dueOf(page.Items[size-1]), page.Items[size-1])
	}
	return page, err
}

// RecipientBatches lists what is known of one number in all batches, the newest batch first.
func (s *Store) RecipientBatches(ctx context.Context, number string, p store.Paging) (page store.Page[store.RecipientInBatch], err error) {
	after, err := decodePlace("number", p.Cursor)
	if err != nil {
		return page, err
	}
	rows, err := s.query(ctx, listNumber, s.slots, text(dlr.Digits(number)), after.before(), text(after.Plan), text(after.ID), p.Size()+1)
	if err != nil {
		return page, err
	}
	var (
		row      []byte
		plan, id string
		first    time.Time
		last     place
	)
	_, err = pgx.ForEachRow(rows, []any{&row, &plan, &id, &first}, func() error {
		if len(page.Items) == p.Size() {
			page.Next = last.encode()
			return nil
		}
		r, err := decodeRecipient(row)
		key, at := store.BatchKey{Plan: plain(plan), BatchID: plain(id)}, first
		page.Items = append(page.Items, store.RecipientInBatch{Key: key, Recipient: r})
		last = place{List: "number", At: &at, Plan: key.Plan, ID: key.BatchID}
		return err
	})
	return page, s.readError(err)
}
