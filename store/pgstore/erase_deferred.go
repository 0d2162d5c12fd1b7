package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store/packed"
)

// SQL statements that read and change the deferred and dead events of a destination. Column row of an event that was
// requeued keeps what it said before.
const (
	readDeferred = `
WITH n AS (
    SELECT id, octet_length(row) AS size FROM deferred_event WHERE name = $1 AND id > $2 ORDER BY id LIMIT $3
)` + listSized

	rewriteDeferred = `
UPDATE deferred_event d SET row = k.row FROM unnest($2::bigint[], $3::bytea[], $4::bytea[]) AS k (id, old, row)
WHERE d.name = $1 AND d.id = k.id AND d.row = k.old`

	deleteErasedDeferred = `
DELETE FROM deferred_event d USING unnest($2::bigint[], $3::bytea[]) AS k (id, old)
WHERE d.name = $1 AND d.id = k.id AND d.row = k.old
RETURNING d.dead`
)

// deferredPage is a part of the deferred and dead events of a destination.
type deferredPage struct {
	name string // of the destination, escaped
	last int64  // the id of the last event
	more bool   // other events may follow
	// the events that contain the number: those to be rewritten, and those to be deleted
	ids         []int64
	old, erased [][]byte
	deletedIDs  []int64
	deletedOld  [][]byte
}

func (p *deferredPage) changed() int { return len(p.ids) + len(p.deletedIDs) }

// deferredEvents erases the number from the deferred and dead events of all destinations. It follows eventLog: since
// then no destination can store an event with the number that it had in memory.
func (e *erasing) deferredEvents(ctx context.Context) error {
	destinations, err := collect(ctx, e.Store, destinationOf, readDestinations)
	if err != nil {
		return err
	}
	for _, d := range destinations {
		for p := (deferredPage{name: escape(d.Name), more: true}); p.more; {
			next, err := e.readDeferred(ctx, p)
			if err != nil {
				return err
			}
			changed := 0
			if next.changed() > 0 {
				if changed, err = e.saveDeferred(ctx, next); err != nil {
					return err
				}
			}
			e.done.Events += changed
			if changed == next.changed() {
				p = next
			} // else the destination or another call has changed the others, so the page is read again
		}
	}
	return nil
}

// readDeferred returns the page after p.
func (e *erasing) readDeferred(ctx context.Context, p deferredPage) (next deferredPage, err error) {
	type found struct {
		ID         int64
		RequeuedAt *time.Time
		Row        []byte
		All        int
	}
	all, err := collect(ctx, e.Store, pgx.RowToStructByPos[found], readDeferred, p.name, p.last, eraseRows, eraseBytes)
	next = deferredPage{name: p.name, last: p.last}
	for _, f := range all {
		next.last, next.more = f.ID, f.All == eraseRows || len(all) < f.All
		d, err := packed.DecodeDeferred(f.Row, f.ID)
		if err != nil {
			return next, err
		}
		switch {
		case !e.number.Deferred(&d):
		case d.Event.Erased():
			next.deletedIDs, next.deletedOld = append(next.deletedIDs, f.ID), append(next.deletedOld, f.Row)
		default:
			next.ids, next.old = append(next.ids, f.ID), append(next.old, f.Row)
			next.erased = append(next.erased, packed.AppendDeferred(nil, &d))
		}
	}
	return next, err
}

// saveDeferred rewrites or deletes events in one transaction, which also changes all destinations. It returns how many
// of the events were as they had been read.
func (e *erasing) saveDeferred(ctx context.Context, p deferredPage) (changed int, err error) {
	err = e.change(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockDestinations); err != nil {
			return err
		}
		done, err := tx.Exec(ctx, rewriteDeferred, p.name, p.ids, p.old, p.erased)
		if err != nil {
			return err
		}
		deleted, err := tx.Query(ctx, deleteErasedDeferred, p.name, p.deletedIDs, p.deletedOld)
		if err != nil {
			return err
		}
		states, err := pgx.CollectRows(deleted, pgx.RowTo[bool])
		if err != nil {
			return err
		}
		dead := 0
		for _, isDead := range states {
			if isDead {
				dead++
			}
		}
		if changed = int(done.RowsAffected()) + len(states); changed == 0 {
			return nil
		}
		var queue pgx.Batch
		queue.Queue(countDeferred, p.name, dead-len(states), -dead)
		queue.Queue(raiseDestinations)
		return tx.SendBatch(ctx, &queue).Close()
	})
	return changed, err
}
