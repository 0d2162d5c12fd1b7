package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// SQL statements on the deferred and dead events of the destinations.
const (
	hasDestination = `SELECT 1 FROM destination WHERE name = $1 AND NOT deleted`

	addDeferred = `
INSERT INTO deferred_event (name, id, dead, since, row)
SELECT $1, id, dead, since, row FROM unnest($2::bigint[], $3::boolean[], $4::timestamptz[], $5::bytea[]) AS k (id, dead, since, row)`

	deleteDeferred    = `DELETE FROM deferred_event WHERE name = $1 AND id = ANY($2::bigint[]) RETURNING dead`
	deleteAllDeferred = `DELETE FROM deferred_event WHERE name = $1`

	requeueDeferred = `UPDATE deferred_event SET dead = false, requeued_at = $2 WHERE name = $1 AND dead`

	// The size of a row is known without reading it, so a page reads only the rows that it returns. Each of the two
	// lists has an index of its own.
	listDeferredEvents = `
WITH n AS (
    SELECT id, octet_length(row) AS size FROM deferred_event WHERE name = $1 AND NOT dead AND id > $2 ORDER BY id LIMIT $3
)` + listSized
	listDeadEvents = `
WITH n AS (
    SELECT id, octet_length(row) AS size FROM deferred_event WHERE name = $1 AND dead AND id > $2 ORDER BY id LIMIT $3
)` + listSized
	listSized = `, sized AS (
    SELECT id, count(*) OVER () AS entries, sum(size) OVER (ORDER BY id) - size AS before FROM n
)
SELECT d.id, d.requeued_at, d.row, z.entries
FROM sized z JOIN deferred_event d ON d.name = $1 AND d.id = z.id
WHERE z.before < $4 ORDER BY d.id`

	findOldDead   = `SELECT name, id FROM deferred_event WHERE dead AND since < $1 ORDER BY name, id LIMIT $2`
	deleteOldDead = `DELETE FROM deferred_event WHERE name = $1 AND id = ANY($2::bigint[]) AND dead AND since < $3`

	// uncountDead raises the epoch, because the counts are part of the state.
	uncountDead = `UPDATE destination SET epoch = epoch + 1, dead = dead - $2 WHERE name = $1`
)

// mustFind returns store.ErrNotFound if a statement without error changed no row.
func mustFind(done pgconn.CommandTag, err error) error {
	if err == nil && done.RowsAffected() == 0 {
		return store.ErrNotFound
	}
	return err
}

// DeferredEvents returns one page of the deferred or, if dead is set, the dead events of a destination, in the order of
// their ids. A page ends early once its rows have 16 MiB. It returns store.ErrNotFound for an unknown destination and
// an error that wraps store.ErrCursor for an invalid cursor.
func (s *Store) DeferredEvents(ctx context.Context, name string, dead bool, p store.Paging,
) (page store.Page[store.DeferredEvent], err error) {
	defer func() { err = s.readError(err) }()
	list, statement := "deferred", listDeferredEvents
	if dead {
		list, statement = "dead events", listDeadEvents
	}
	after, err := decodeCursor(list, p.Cursor)
	if err != nil {
		return page, err
	}
	if _, err := one(ctx, s, pgx.RowTo[int], hasDestination, escape(name)); err != nil {
		return page, err
	}
	type found struct {
		ID         int64
		RequeuedAt *time.Time
		Row        []byte
		All        int
	}
	all, err := collect(ctx, s, pgx.RowToStructByPos[found], statement, escape(name), after.Chunk, p.Size()+1, pageBytes)
	if err != nil || len(all) == 0 {
		return page, err
	}
	shown := all[:min(p.Size(), len(all))]
	for _, f := range shown {
		d, err := packed.DecodeDeferred(f.Row, f.ID)
		if err != nil {
			return page, err
		}
		if f.RequeuedAt != nil {
			d.Dead, d.Attempts = false, 0
			d.Due, d.Since = f.RequeuedAt.UTC(), f.RequeuedAt.UTC()
		}
		page.Items = append(page.Items, d)
	}
	if last := shown[len(shown)-1]; len(shown) < last.All {
		page.Next = position{List: list, Chunk: last.ID}.encode()
	}
	return page, nil
}

// deleteDead deletes the dead events whose Since is before the given time, in transactions of limited size.
func (s *Store) deleteDead(ctx context.Context, before time.Time) error {
	type key struct {
		Name string
		ID   int64
	}
	for {
		old, err := collect(ctx, s, pgx.RowToStructByPos[key], findOldDead, before, deleteStep)
		if err != nil {
			return err
		}
		byName := make(map[string][]int64)
		for _, k := range old {
			byName[k.Name] = append(byName[k.Name], k.ID)
		}
		for name, ids := range byName {
			if err := s.deleteDeadOf(ctx, name, ids, before); err != nil {
				return err
			}
		}
		if len(old) < deleteStep {
			return nil
		}
	}
}

// deleteDeadOf deletes those of the events that are still dead. The name of the destination is escaped.
func (s *Store) deleteDeadOf(ctx context.Context, name string, ids []int64, before time.Time) error {
	return s.writing(ctx, func(tx pgx.Tx) error {
		// SaveDestination also locks the row of the destination first.
		if _, err := tx.Exec(ctx, uncountDead, name, 0); err != nil {
			return err
		}
		done, err := tx.Exec(ctx, deleteOldDead, name, ids, before)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, uncountDead, name, done.RowsAffected())
		return err
	})
}
