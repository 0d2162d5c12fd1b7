package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
)

const (
	// last_at is never before first_at, which the index has.
	findOld = `
SELECT b.slot, b.plan, b.batch_id FROM generate_series(0, $1::int - 1) AS s (slot) CROSS JOIN LATERAL (
    SELECT slot, plan, batch_id, first_at FROM batch
    WHERE slot = s.slot AND first_at < $2 AND last_at < $2 AND due IS NULL ORDER BY first_at LIMIT $3
) b ORDER BY b.first_at LIMIT $3`

	// News may have come since it was found old.
	lockOld = `
SELECT b.slot, b.row
FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (slot, plan, batch_id)
JOIN batch b ON b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
WHERE b.last_at < $4 AND b.due IS NULL
ORDER BY b.slot, b.plan, b.batch_id FOR UPDATE OF b SKIP LOCKED`

	ofThese = ` USING unnest($1::smallint[], $2::text[], $3::text[]) AS k (slot, plan, batch_id)
WHERE t.slot = k.slot AND t.plan = k.plan AND t.batch_id = k.batch_id`
	deleteReports    = `DELETE FROM report_log t` + ofThese
	deleteRecipients = `DELETE FROM recipient t` + ofThese
	deleteBatches    = `DELETE FROM batch t` + ofThese

	deleteMinutes = `
DELETE FROM minute_count m USING (
    SELECT o.slot, o.minute, o.plan, o.status FROM generate_series(0, $1::int - 1) AS s (slot) CROSS JOIN LATERAL (
        SELECT slot, minute, plan, status FROM minute_count WHERE slot = s.slot AND minute < $2 ORDER BY minute LIMIT $3
    ) o LIMIT $3
) o WHERE m.slot = o.slot AND m.minute = o.minute AND m.plan = o.plan AND m.status = o.status`

	deleteQuarantined = `
DELETE FROM quarantine q USING (
    SELECT o.slot, o.received_at, o.id FROM generate_series(0, $1::int - 1) AS s (slot) CROSS JOIN LATERAL (
        SELECT slot, received_at, id FROM quarantine WHERE slot = s.slot AND received_at < $2 ORDER BY received_at LIMIT $3
    ) o LIMIT $3
) o WHERE q.slot = o.slot AND q.received_at = o.received_at AND q.id = o.id`
)

const (
	expireStep = 16   // batches of one transaction: each may have many recipients
	sweepStep  = 2000 // counts or quarantine entries of one transaction
)

// Expire deletes old batches with all that belongs to them, a few in each transaction.
func (s *Store) Expire(ctx context.Context, before time.Time, limit int) (expired int, more bool, err error) {
	if s.closed.Load() {
		return 0, false, store.ErrClosed
	}
	old, err := s.old(ctx, before, limit)
	for at := 0; err == nil && at < len(old.slots); at += expireStep {
		var n int
		n, err = s.expireBatches(ctx, old.part(at, min(at+expireStep, len(old.slots))), before)
		expired += n
	}
	for _, sql := range []string{deleteMinutes, deleteQuarantined} {
		if err == nil {
			err = s.sweep(ctx, sql, before)
		}
	}
	switch {
	case err == nil:
		return expired, limit > 0 && len(old.slots) == limit, nil
	case s.closed.Load():
		return expired, false, store.ErrClosed
	case ctx.Err() == nil:
		s.trouble("expire", err)
	}
	return expired, false, fmt.Errorf("expire: %w", err)
}

// part are the keys from one to before another.
func (k keys) part(from, to int) keys {
	return keys{k.slots[from:to], k.plans[from:to], k.ids[from:to]}
}

// old finds up to limit batches that expire: dead feedback goes with them, it was shown for as long.
func (s *Store) old(ctx context.Context, before time.Time, limit int) (found keys, err error) {
	rows, err := s.pool.Query(ctx, findOld, s.slots, before, max(limit, 0))
	if err != nil {
		return found, err
	}
	return collectKeys(rows)
}

// collectKeys reads slots, plans and batch ids.
func collectKeys(rows pgx.Rows) (found keys, err error) {
	var (
		slot     int16
		plan, id string
	)
	_, err = pgx.ForEachRow(rows, []any{&slot, &plan, &id}, func() error {
		found.slots, found.plans, found.ids = append(found.slots, slot), append(found.plans, plan), append(found.ids, id)
		return nil
	})
	return found, err
}

// gone counts what went of one plan.
type gone struct{ batches, dead int }

// expireBatches deletes those of the batches that are still old.
func (s *Store) expireBatches(ctx context.Context, old keys, before time.Time) (expired int, err error) {
	var byPlan map[string]gone
	err = s.write(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, lockOld, old.slots, old.plans, old.ids, before)
		if err != nil {
			return err
		}
		var (
			slot   int16
			row    []byte
			locked keys
			totals = make(map[slotPlan]*store.PlanStats)
		)
		byPlan = make(map[string]gone)
		_, err = pgx.ForEachRow(rows, []any{&slot, &row}, func() error {
			b, err := decodeBatch(row)
			if err != nil {
				return err
			}
			locked.add(slot, b.Key())
			k := slotPlan{slot, b.Plan}
			if totals[k] == nil {
				totals[k] = &store.PlanStats{Plan: b.Plan}
			}
			totals[k].Feedback.Sub(b.Tally())
			byPlan[b.Plan] = gone{byPlan[b.Plan].batches + 1, byPlan[b.Plan].dead + b.Feedback.Dead}
			return nil
		})
		if expired = len(locked.slots); err != nil || expired == 0 {
			return err
		}
		var queue pgx.Batch
		for _, sql := range []string{deleteReports, deleteRecipients, deleteBatches} {
			queue.Queue(sql, locked.slots, locked.plans, locked.ids)
		}
		queueTotals(&queue, totals)
		return tx.SendBatch(ctx, &queue).Close()
	})
	if err != nil {
		return 0, err
	}
	if tell := s.config.Observer.Expired; tell != nil {
		for plan, g := range byPlan {
			tell(plan, g.batches, g.dead)
		}
	}
	return expired, nil
}

// sweep deletes what is old, step by step.
func (s *Store) sweep(ctx context.Context, sql string, before time.Time) error {
	for {
		var deleted int64
		err := s.write(ctx, func(tx pgx.Tx) error {
			done, err := tx.Exec(ctx, sql, s.slots, before, sweepStep)
			deleted = done.RowsAffected()
			return err
		})
		if err != nil || deleted < sweepStep {
			return err
		}
	}
}
