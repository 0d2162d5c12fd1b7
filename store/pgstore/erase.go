package pgstore

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/erase"
)

// SQL statements that find what belongs to a phone number, and delete its inbound messages.
const (
	// Unlike selectNumber, findNumber also finds hidden batches.
	findNumber slotSQL = `
SELECT slot, plan, batch_id, first_at` + fromNumber + latestOfNumber

	findInboundOfNumber slotSQL = `
SELECT slot, plan, id, arrived_at
FROM ((SELECT slot, plan, id, arrived_at FROM inbound WHERE slot = $1 AND sender = $2
    ORDER BY arrived_at, plan, id LIMIT $3)
    UNION
    (SELECT slot, plan, id, arrived_at FROM inbound WHERE slot = $1 AND receiver = $2
    ORDER BY arrived_at, plan, id LIMIT $3)) m
ORDER BY arrived_at, plan, id LIMIT $3`

	deleteInboundByKey keyedSQL = `
DELETE FROM inbound m USING unnest($1::smallint[], $2::text[], $3::text[]) AS k (slot, plan, id)
WHERE m.slot = k.slot AND m.plan = k.plan AND m.id = k.id`
)

// Limits of what Erase reads, and of what it changes in one transaction.
const (
	eraseRows  = 1000
	eraseBytes = 4 << 20 // the total size of the bodies or rows; one of them may be larger
)

// erasing is one call of Erase.
type erasing struct {
	*Store
	number *erase.Number
	done   store.Erased
}

// Erase removes a phone number from all rows; see store.Store. It works in many transactions. What shows where the
// number is, such as the row of its recipient, is changed last, and the destinations are changed together with the last
// row of the event log. So a call that ends early, or a crash, leaves nothing that another call would not find.
//
// Erase reads without locks, because nearly all that it reads does not contain the number. It then changes a row only
// if the row still is as it was read, and reads it again if another call, which erases another number, was first. The
// rows of a batch are changed under the lock of the batch, like everywhere.
func (s *Store) Erase(ctx context.Context, number string) (store.Erased, error) {
	if s.closed.Load() {
		return store.Erased{}, store.ErrClosed
	}
	n, err := erase.New(number)
	if err != nil {
		return store.Erased{}, err
	}
	e := erasing{Store: s, number: n}
	for _, step := range []func(context.Context) error{
		e.batches, e.inboundMessages, e.quarantine, e.eventLog, e.deferredEvents,
	} {
		if err = step(ctx); err != nil {
			break
		}
	}
	switch {
	case err == nil:
		return e.done, nil
	case s.closed.Load():
		return e.done, store.ErrClosed
	case ctx.Err() == nil:
		s.reportFailure("erase", err)
	}
	return e.done, fmt.Errorf("erase: %w", cmp.Or(ctx.Err(), err))
}

// change runs a transaction with retries, unless ctx has ended. The end of ctx does not stop a transaction that has
// begun, so it is known whether the transaction was committed. See writing.
func (e *erasing) change(ctx context.Context, change func(context.Context, pgx.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*e.config.StatementTimeout)
	defer cancel()
	return e.writing(ctx, func(tx pgx.Tx) error { return change(ctx, tx) })
}

// batches erases the number from the batches that have a recipient with it, the latest first. Then it deletes what
// retention has hidden, which may contain the number too: the rows of a hidden batch are deleted in any order.
func (e *erasing) batches(ctx context.Context) error {
	digits := escape(e.number.Digits())
	for after := (position{}); ; {
		found, err := e.find(ctx, eraseRows, latest, findNumber,
			digits, after.before(), escape(after.Plan), escape(after.ID), eraseRows, hashOf(digits))
		if err != nil {
			return err
		}
		for _, b := range found {
			if err := e.batch(ctx, b); err != nil {
				return err
			}
		}
		if len(found) < eraseRows {
			return e.deleteAllHidden(ctx)
		}
		after = found[len(found)-1].position("")
	}
}

// inboundMessages deletes the inbound messages from and to the number.
func (e *erasing) inboundMessages(ctx context.Context) error {
	for {
		found, err := e.find(ctx, eraseRows, byKey, findInboundOfNumber, escape(e.number.Digits()), eraseRows)
		if err != nil {
			return err
		}
		for _, part := range e.config.Dialect.transactions(found) {
			k, deleted := keysOf(part), 0
			sql, arguments := e.keyed(deleteInboundByKey, k.slots, k.plans, k.ids)
			err := e.change(ctx, func(ctx context.Context, tx pgx.Tx) error {
				done, err := tx.Exec(ctx, sql, arguments...)
				deleted = int(done.RowsAffected())
				return err
			})
			if err != nil {
				return err
			}
			e.done.InboundMessages += deleted
		}
		if len(found) < eraseRows {
			return nil
		}
	}
}

// isErased reports whether erased, which Number.Body returned for body, is another body.
func isErased(body, erased []byte) bool {
	return len(body) != len(erased) || len(body) > 0 && &body[0] != &erased[0]
}
