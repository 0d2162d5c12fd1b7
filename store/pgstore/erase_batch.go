package pgstore

import (
	"bytes"
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/fold"
	"github.com/dlrloop/dlrloop/store/packed"
)

// SQL statements with which Erase changes one batch. A hidden batch, which retention is deleting, is not changed.
const (
	lockBatch = `SELECT row FROM batch WHERE slot = $1 AND plan = $2 AND batch_id = $3 AND NOT gone FOR UPDATE`

	// The size of a body is known without reading the body.
	readLog = `
SELECT chunk, place, raw, entries
FROM (
    SELECT chunk, place, raw, count(*) OVER () AS entries, sum(octet_length(raw)) OVER (ORDER BY chunk, place) - octet_length(raw) AS before
    FROM (SELECT chunk, place, raw FROM report_log
        WHERE slot = $1 AND plan = $2 AND batch_id = $3 AND (chunk, place) > ($4, $5) ORDER BY chunk, place LIMIT $6) n
) l
WHERE before < $7 ORDER BY chunk, place`

	// The plan and the batch are not parameters of their own: the server would read the whole log of the batch.
	rewriteReports keyedSQL = `
UPDATE report_log l SET raw = k.raw
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bytea[])
    AS k (slot, plan, batch_id, chunk, place, old, raw)
WHERE l.slot = k.slot AND l.plan = k.plan AND l.batch_id = k.batch_id AND l.chunk = k.chunk AND l.place = k.place AND l.raw = k.old`

	readForErase = `SELECT row FROM recipient WHERE slot = $1 AND plan = $2 AND batch_id = $3 AND digits = $4`

	renameRecipient = `
UPDATE recipient SET digits = $5, hash = $6, feedback = $7, row = $8
WHERE slot = $1 AND plan = $2 AND batch_id = $3 AND digits = $4`

	// The lease stays: the settlement that names it ends it.
	rewriteBatch = `
UPDATE batch SET reference = $4, due = $5, dead = $6, row = $7 WHERE slot = $1 AND plan = $2 AND batch_id = $3`
)

// logPlace is the place of a report in the log of a batch.
type logPlace struct{ chunk, place int64 }

// logPage is a part of the log of a batch.
type logPage struct {
	last logPlace // the place of its last report, or that before the page if it has none
	more bool     // other reports may follow
	// the reports that contain the number: their keys, and their bodies with and without it
	keys
	chunks, places []int64
	old, erased    [][]byte
}

// batch erases the number from one batch: from its log first, and from its recipient last, since the recipient shows
// that the log contains the number.
func (e *erasing) batch(ctx context.Context, b entry) error {
	for at := (logPlace{place: -1}); ; {
		ended, err := e.log(ctx, b, &at)
		if err == nil && !ended {
			ended, err = e.recipient(ctx, b, at)
		}
		if err != nil || ended {
			return err
		}
	}
}

// log erases the number from the reports after a place, and moves the place to the last report. It returns true if the
// batch does not exist any more.
func (e *erasing) log(ctx context.Context, b entry, at *logPlace) (gone bool, err error) {
	for {
		found, err := collect(ctx, e.Store, pgx.RowToStructByPos[loggedBody], readLog,
			b.slot, b.plan, b.id, at.chunk, at.place, eraseRows, eraseBytes)
		if err != nil {
			return false, err
		}
		p, rewritten := e.logPage(b, *at, found), 0
		if len(p.old) > 0 {
			err = e.change(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
				if _, gone, err = lockOne(ctx, tx, b); err == nil && !gone {
					rewritten, err = e.rewrite(ctx, tx, &p)
				}
				return err
			})
			if err != nil || gone {
				return gone, err
			}
			e.done.Reports += rewritten
		}
		if rewritten < len(p.old) {
			continue // another call has changed the others
		}
		if *at = p.last; !p.more {
			return false, nil
		}
	}
}

// recipient gives the recipient a name, and erases the number from the batch's row and from reports that have arrived
// after the place meanwhile. It returns false if there are so many of them that they need transactions of their own.
func (e *erasing) recipient(ctx context.Context, b entry, after logPlace) (ended bool, err error) {
	var done store.Erased
	err = e.change(ctx, func(ctx context.Context, tx pgx.Tx) error {
		ended, done = false, store.Erased{}
		row, gone, err := lockOne(ctx, tx, b)
		if err != nil || gone {
			ended = gone
			return err
		}
		rows, err := tx.Query(ctx, readLog, b.slot, b.plan, b.id, after.chunk, after.place, eraseRows, eraseBytes)
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[loggedBody])
		if err != nil {
			return err
		}
		p := e.logPage(b, after, found)
		if p.more {
			return nil
		}
		if done.Reports, err = e.rewrite(ctx, tx, &p); err != nil {
			return err
		}
		ended = true
		done.Recipients, err = e.rename(ctx, tx, b, row)
		return err
	})
	if err == nil {
		e.done.Recipients += done.Recipients
		e.done.Reports += done.Reports
	}
	return ended, err
}

// rename gives the recipient a name in place of the number and returns 1, or returns 0 if another call has done so.
// row is the locked row of the batch.
func (e *erasing) rename(ctx context.Context, tx pgx.Tx, b entry, row []byte) (renamed int, err error) {
	digits := escape(e.number.Digits())
	var encoded []byte
	err = tx.QueryRow(ctx, readForErase, b.slot, b.plan, b.id, digits).Scan(&encoded)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	r, err := decodeRecipient(encoded, digits)
	if err != nil {
		return 0, err
	}
	batch, err := packed.DecodeBatch(row)
	if err != nil {
		return 0, err
	}
	name := e.number.Name(batch.Key())
	changes := fold.Erase(batch, r, name)
	e.number.Batch(batch)
	var queue pgx.Batch
	queue.Queue(renameRecipient, b.slot, b.plan, b.id, digits,
		escape(name), hashOf(escape(name)), int16(r.Feedback), packed.EncodeRecipient(r, name))
	if changed := packed.EncodeBatch(batch); !bytes.Equal(changed, row) {
		queue.Queue(rewriteBatch, b.slot, b.plan, b.id,
			referenceOf(batch.ClientReference), dueOf(batch), batch.Dead != nil, changed)
	}
	if changes.Before != changes.After {
		total := &store.PlanStats{Plan: batch.Plan}
		fold.AddChanges(total, changes)
		e.queueTotals(&queue, map[slotPlan]*store.PlanStats{{b.slot, batch.Plan}: total})
	}
	return 1, tx.SendBatch(ctx, &queue).Close()
}

// lockOne locks a batch and returns its row. It returns true if the batch does not exist or retention is deleting it.
func lockOne(ctx context.Context, tx pgx.Tx, b entry) (row []byte, gone bool, err error) {
	err = tx.QueryRow(ctx, lockBatch, b.slot, b.plan, b.id).Scan(&row)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, true, nil
	}
	return row, false, err
}

// loggedBody is a row of readLog. All is how many rows the statement looked at.
type loggedBody struct {
	Chunk, Place int64
	Raw          []byte
	All          int
}

// logPage returns the page of the log after a place that readLog has found.
func (e *erasing) logPage(b entry, after logPlace, found []loggedBody) logPage {
	p, key := logPage{last: after}, store.BatchKey{Plan: unescape(b.plan), BatchID: unescape(b.id)}
	for _, l := range found {
		p.last, p.more = logPlace{l.Chunk, l.Place}, l.All == eraseRows || len(found) < l.All
		if body := e.number.Body(key, l.Raw); isErased(l.Raw, body) {
			p.add(b.slot, key)
			p.chunks, p.places = append(p.chunks, l.Chunk), append(p.places, l.Place)
			p.old, p.erased = append(p.old, l.Raw), append(p.erased, body)
		}
	}
	return p
}

// rewrite replaces the bodies that contain the number, and returns how many were as they had been read.
func (e *erasing) rewrite(ctx context.Context, tx pgx.Tx, p *logPage) (rewritten int, err error) {
	if len(p.old) == 0 {
		return 0, nil
	}
	sql, arguments := e.keyed(rewriteReports, p.slots, p.plans, p.ids, p.chunks, p.places, p.old, p.erased)
	done, err := tx.Exec(ctx, sql, arguments...)
	return int(done.RowsAffected()), err
}
