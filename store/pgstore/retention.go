package pgstore

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// SQL statements that find, in one slot (hash partition), what retention deletes.
const (
	// The index has first_at but not last_at. That suffices, since last_at is never before first_at.
	findOld slotSQL = `
SELECT slot, plan, batch_id, first_at
FROM batch WHERE slot = $1 AND first_at < $2 AND last_at < $2 AND due IS NULL
ORDER BY first_at, batch_id LIMIT $3`

	findHidden slotSQL = `
SELECT slot, plan, batch_id, NULL::timestamptz
FROM batch WHERE slot = $1 AND gone
ORDER BY plan, batch_id LIMIT $2`

	findOldMinutes slotSQL = `
SELECT slot
FROM (SELECT slot FROM minute_count WHERE slot = $1 AND minute < $2 ORDER BY minute LIMIT 1) m`

	findOldQuarantined slotSQL = `
SELECT slot
FROM (SELECT slot FROM quarantine WHERE slot = $1 AND received_at < $2 ORDER BY received_at LIMIT 1) q`

	findOldInbound slotSQL = `
SELECT slot
FROM (SELECT slot FROM inbound WHERE slot = $1 AND arrived_at < $2 ORDER BY arrived_at LIMIT 1) m`
)

// SQL statements that hide batches from reads, delete hidden batches, and delete old rows that belong to no batch.
const (
	// An arrival may have come since findOld found the batch, so its times are tested again under the lock.
	lockOld keyedSQL = `
SELECT b.slot, b.row
FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (slot, plan, batch_id)
JOIN batch b ON b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
WHERE b.last_at < $4 AND b.due IS NULL
ORDER BY b.slot, b.plan, b.batch_id FOR UPDATE OF b`

	hideBatches keyedSQL = `
UPDATE batch b SET gone = true, first_at = NULL, last_at = NULL, reference = NULL, due = NULL, dead = false, check_due = NULL,
    check_minute = NULL, lease = NULL, lease_until = NULL, row = NULL
FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (slot, plan, batch_id)
WHERE b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id`

	lockHidden keyedSQL = `
SELECT b.slot, b.plan, b.batch_id, NULL::timestamptz
FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (slot, plan, batch_id)
JOIN batch b ON b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
WHERE b.gone
ORDER BY b.slot, b.plan, b.batch_id FOR UPDATE OF b`

	deleteReports = `
DELETE FROM report_log WHERE slot = $1 AND plan = $2 AND batch_id = $3 AND chunk <= (
    SELECT max(chunk) FROM (
        SELECT chunk FROM report_log WHERE slot = $1 AND plan = $2 AND batch_id = $3 ORDER BY chunk, place LIMIT $4) o)`

	deleteRecipients = `
DELETE FROM recipient WHERE slot = $1 AND plan = $2 AND batch_id = $3 AND digits <= (
    SELECT max(digits) FROM (
        SELECT digits FROM recipient WHERE slot = $1 AND plan = $2 AND batch_id = $3 ORDER BY digits LIMIT $4) o)`

	deleteBatch = `
DELETE FROM batch WHERE slot = $1 AND plan = $2 AND batch_id = $3
    AND NOT EXISTS (SELECT 1 FROM report_log WHERE slot = $1 AND plan = $2 AND batch_id = $3)
    AND NOT EXISTS (SELECT 1 FROM recipient WHERE slot = $1 AND plan = $2 AND batch_id = $3)`

	deleteMinutes = `
DELETE FROM minute_count WHERE slot = $1 AND minute <= (
    SELECT max(minute) FROM (
        SELECT minute FROM minute_count WHERE slot = $1 AND minute < $2 ORDER BY minute LIMIT $3) o)`

	deleteQuarantined = `
DELETE FROM quarantine WHERE slot = $1 AND received_at <= (
    SELECT max(received_at) FROM (
        SELECT received_at FROM quarantine WHERE slot = $1 AND received_at < $2 ORDER BY received_at LIMIT $3) o)`

	deleteInbound = `
DELETE FROM inbound WHERE slot = $1 AND arrived_at <= (
    SELECT max(arrived_at) FROM (
        SELECT arrived_at FROM inbound WHERE slot = $1 AND arrived_at < $2 ORDER BY arrived_at LIMIT $3) o)`
)

// Sizes of the transactions with which retention hides and deletes batches.
const (
	hideStep   = 16   // batches hidden per transaction
	deleteStep = 1000 // approximate number of rows deleted per table, batch and transaction
)

// DeleteOlder deletes up to limit batches that have no pending task and whose last arrival was before the given time.
// It also deletes all minute counts, quarantine entries, inbound messages, events and dead events from before that
// time. It first hides the batches and then deletes their rows, in several transactions; after a crash the next call
// continues. deleted is the number of batches that it hid, also after an error. more reports whether another call may
// delete more.
func (s *Store) DeleteOlder(ctx context.Context, before time.Time, limit int) (deleted int, more bool, err error) {
	if s.closed.Load() {
		return 0, false, store.ErrClosed
	}
	old, err := s.find(ctx, limit, earliest, findOld, before, max(limit, 0))
	for _, part := range s.config.Dialect.transactions(old) {
		for at := 0; err == nil && at < len(part); at += hideStep {
			var n int
			n, err = s.hide(ctx, part[at:min(at+hideStep, len(part))], before)
			deleted += n
		}
	}
	if err == nil {
		err = s.deleteOlderRows(ctx, before)
	}
	if err == nil {
		err = s.trimEvents(ctx, before, func(int64) int64 { return math.MaxInt64 })
	}
	if err == nil {
		err = s.deleteDead(ctx, before)
	}
	switch {
	case err == nil:
		return deleted, limit > 0 && len(old) == limit, nil
	case s.closed.Load():
		return deleted, false, store.ErrClosed
	case ctx.Err() == nil:
		s.reportFailure("expire", err)
	}
	return deleted, false, fmt.Errorf("delete old batches: %w", err)
}

type hiddenCounts struct{ batches, dead int }

// hide hides those of the batches old whose last arrival is still before the given time, and returns how many. Reads
// and gauges ignore hidden batches. Dead feedback of these batches is lost; the API has listed it for the whole
// retention time.
func (s *Store) hide(ctx context.Context, old []entry, before time.Time) (hidden int, err error) {
	var byPlan map[string]hiddenCounts
	k := keysOf(old)
	err = s.writing(ctx, func(tx pgx.Tx) error {
		sql, arguments := s.keyed(lockOld, k.slots, k.plans, k.ids, before)
		rows, err := tx.Query(ctx, sql, arguments...)
		if err != nil {
			return err
		}
		var (
			slot   int16
			row    []byte
			locked keys
			totals = make(map[slotPlan]*store.PlanStats)
		)
		byPlan = make(map[string]hiddenCounts)
		_, err = pgx.ForEachRow(rows, []any{&slot, &row}, func() error {
			b, err := packed.DecodeBatch(row)
			if err != nil {
				return err
			}
			locked.add(slot, b.Key())
			k := slotPlan{slot, b.Plan}
			if totals[k] == nil {
				totals[k] = &store.PlanStats{Plan: b.Plan}
			}
			totals[k].Feedback.Sub(b.Tally())
			byPlan[b.Plan] = hiddenCounts{byPlan[b.Plan].batches + 1, byPlan[b.Plan].dead + b.Feedback.Dead}
			return nil
		})
		if hidden = len(locked.slots); err != nil || hidden == 0 {
			return err
		}
		var queue pgx.Batch
		s.queue(&queue, hideBatches, locked.slots, locked.plans, locked.ids)
		s.queueTotals(&queue, totals)
		return tx.SendBatch(ctx, &queue).Close()
	})
	if err != nil {
		return 0, err
	}
	if report := s.config.Observer.Deleted; report != nil {
		for plan, g := range byPlan {
			report(plan, g.batches, g.dead)
		}
	}
	return hidden, nil
}

// deleteOlderRows deletes the rows of all hidden batches, and minute counts, quarantine entries and inbound messages
// from before the given time.
func (s *Store) deleteOlderRows(ctx context.Context, before time.Time) error {
	if err := s.deleteAllHidden(ctx); err != nil {
		return err
	}
	if _, err := s.deleteOld(ctx, findOldMinutes, deleteMinutes, before); err != nil {
		return err
	}
	if _, err := s.deleteOld(ctx, findOldQuarantined, deleteQuarantined, before); err != nil {
		return err
	}
	_, err := s.deleteOld(ctx, findOldInbound, deleteInbound, before)
	return err
}

// deleteAllHidden deletes the rows of all hidden batches.
func (s *Store) deleteAllHidden(ctx context.Context) error {
	const atOnce = 100
	for {
		found, err := s.find(ctx, atOnce, byKey, findHidden, atOnce)
		if err == nil {
			err = s.deleteHidden(ctx, found)
		}
		if err != nil || len(found) < atOnce {
			return err
		}
	}
}

// deleteHidden deletes the given batches, which must be hidden, with all their rows. Several goroutines and replicas
// may delete the same batches concurrently.
func (s *Store) deleteHidden(ctx context.Context, hidden []entry) error {
	for _, part := range s.config.Dialect.transactions(hidden) {
		for at := 0; at < len(part); at += hideStep {
			for left := part[at:min(at+hideStep, len(part))]; len(left) > 0; {
				var err error
				if left, err = s.deleteRows(ctx, left); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// deleteRows deletes about deleteStep rows per table of each given hidden batch, and returns the batches that still
// have rows. It locks only the rows in table batch, because no transaction adds rows to a hidden batch.
func (s *Store) deleteRows(ctx context.Context, hidden []entry) (left []entry, err error) {
	k := keysOf(hidden)
	err = s.writing(ctx, func(tx pgx.Tx) error {
		sql, arguments := s.keyed(lockHidden, k.slots, k.plans, k.ids)
		rows, err := tx.Query(ctx, sql, arguments...)
		if err != nil {
			return err
		}
		locked, err := pgx.CollectRows(rows, entryOf)
		if err != nil {
			return err
		}
		left = nil
		var queue pgx.Batch
		for _, e := range locked {
			queue.Queue(deleteReports, e.slot, e.plan, e.id, deleteStep)
			queue.Queue(deleteRecipients, e.slot, e.plan, e.id, deleteStep)
			queue.Queue(deleteBatch, e.slot, e.plan, e.id).Exec(func(done pgconn.CommandTag) error {
				if done.RowsAffected() == 0 {
					left = append(left, e)
				}
				return nil
			})
		}
		return tx.SendBatch(ctx, &queue).Close()
	})
	return left, err
}

// deleteOld deletes old rows and returns their number. find selects the slots that have such rows. In each of these
// slots deleteOld repeats statement, which deletes about deleteStep rows, until none are left. bound holds the
// parameters after the slot, the same in find and statement.
func (s *Store) deleteOld(ctx context.Context, find slotSQL, statement string, bound ...any,
) (deleted int, err error) {
	slots, err := overSlots(ctx, s, pgx.RowTo[int16], find, bound...)
	for _, slot := range slots {
		arguments := append(append([]any{slot}, bound...), deleteStep)
		for step := deleteStep; err == nil && step >= deleteStep; deleted += step {
			step = 0
			err = s.writing(ctx, func(tx pgx.Tx) error {
				done, err := tx.Exec(ctx, statement, arguments...)
				step = int(done.RowsAffected())
				return err
			})
		}
	}
	return deleted, err
}
