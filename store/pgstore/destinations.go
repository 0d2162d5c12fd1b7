package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// SQL statements that read and change the progress of the destinations. Column place holds the cursor.
const (
	readDestinations = `SELECT name, place, epoch, paused_at, last_id, deferred, dead FROM destination WHERE NOT deleted`

	addDestination = `
INSERT INTO destination (name, place, epoch, paused_at, last_id, deferred, dead) VALUES ($1, $2, 1, $3, $4, 0, 0)
ON CONFLICT (name) DO UPDATE SET place = excluded.place, epoch = destination.epoch + 1, paused_at = excluded.paused_at,
    last_id = excluded.last_id, deleted = false
WHERE destination.deleted
RETURNING epoch`

	changeDestination = `
UPDATE destination SET place = $2, epoch = epoch + 1, paused_at = $3, last_id = greatest(last_id, $4)
WHERE name = $1 AND epoch = $5 AND NOT deleted
RETURNING epoch`

	countDeferred = `UPDATE destination SET deferred = deferred + $2, dead = dead + $3 WHERE name = $1`

	requeueDestination = `
UPDATE destination SET epoch = epoch + 1, paused_at = NULL, deferred = deferred + dead, dead = 0
WHERE name = $1 AND NOT deleted`

	deleteDestination = `
UPDATE destination SET deleted = true, place = '', epoch = epoch + 1, paused_at = NULL, last_id = 0, deferred = 0, dead = 0
WHERE name = $1 AND NOT deleted`
)

// Destinations returns all stored destinations, sorted by name.
func (s *Store) Destinations(ctx context.Context) ([]store.Destination, error) {
	all, err := collect(ctx, s, destinationOf, readDestinations)
	slices.SortFunc(all, func(a, b store.Destination) int { return strings.Compare(a.Name, b.Name) })
	return all, s.readError(err)
}

func destinationOf(row pgx.CollectableRow) (d store.Destination, err error) {
	var paused *time.Time
	err = row.Scan(&d.Name, &d.Cursor, &d.Epoch, &paused, &d.LastID, &d.Deferred, &d.Dead)
	d.Name, d.Cursor = unescape(d.Name), unescape(d.Cursor)
	if paused != nil {
		d.PausedAt = paused.UTC()
	}
	return d, err
}

// SaveDestination changes or creates a destination, in one transaction, and returns its new epoch. It blocks until the
// change is durable. It returns store.ErrConflict, and changes nothing, if c.Epoch is not that of the stored
// destination. After any other error the change may still be durable.
func (s *Store) SaveDestination(ctx context.Context, name string, c store.DestinationChange) (epoch int64, err error) {
	var paused *time.Time
	if !c.PausedAt.IsZero() {
		at := c.PausedAt.UTC().Truncate(time.Millisecond)
		paused = &at
	}
	put, last := make(map[int64]*store.DeferredEvent, len(c.Put)), int64(0)
	for i := range c.Put {
		put[c.Put[i].ID] = &c.Put[i]
		last = max(last, c.Put[i].ID)
	}
	err = s.changeDestination(ctx, "save", name, func(tx pgx.Tx) error {
		statement, arguments := addDestination, []any{escape(name), escape(c.Cursor), paused, last}
		if c.Epoch != 0 {
			statement, arguments = changeDestination, append(arguments, c.Epoch)
		}
		err := tx.QueryRow(ctx, statement, arguments...).Scan(&epoch)
		if errors.Is(err, pgx.ErrNoRows) {
			err = store.ErrConflict
		}
		if err != nil || len(put) == 0 && len(c.Delete) == 0 {
			return err
		}
		return replaceDeferred(ctx, tx, name, put, c.Delete)
	})
	return epoch, err
}

// replaceDeferred deletes the deferred and dead events of a destination with the ids in deleted and in put, stores put,
// and updates the counts of the destination, whose row the transaction has locked.
func replaceDeferred(ctx context.Context, tx pgx.Tx, name string, put map[int64]*store.DeferredEvent, deleted []int64,
) error {
	var (
		ids   []int64
		dead  []bool
		since []time.Time
		rows  [][]byte
		added [2]int // of the deferred and of the dead events
	)
	count := func(isDead bool, n int) {
		if isDead {
			added[1] += n
			return
		}
		added[0] += n
	}
	for id, d := range put {
		ids, dead, since = append(ids, id), append(dead, d.Dead), append(since, d.Since)
		rows = append(rows, packed.AppendDeferred(nil, d))
		count(d.Dead, 1)
	}
	removed, err := tx.Query(ctx, deleteDeferred, escape(name), slices.Concat(deleted, ids))
	if err != nil {
		return err
	}
	var wasDead bool
	_, err = pgx.ForEachRow(removed, []any{&wasDead}, func() error {
		count(wasDead, -1)
		return nil
	})
	if err != nil {
		return err
	}
	var queue pgx.Batch
	if len(ids) > 0 {
		queue.Queue(addDeferred, escape(name), ids, dead, since, rows)
	}
	queue.Queue(countDeferred, escape(name), added[0], added[1])
	return tx.SendBatch(ctx, &queue).Close()
}

// changeDestination runs change in a transaction and retries it like writing. operation is a verb for errors.
func (s *Store) changeDestination(ctx context.Context, operation, name string, change func(pgx.Tx) error) error {
	if s.closed.Load() {
		return store.ErrClosed
	}
	err := s.writing(ctx, change)
	switch {
	case err == nil, errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrNotFound):
		return err
	case s.closed.Load():
		return store.ErrClosed
	case ctx.Err() == nil:
		s.reportFailure("commit", err)
	}
	return fmt.Errorf("%s destination %s: %w", operation, name, err)
}

// RequeueEvents makes all dead events of a destination due at now, ends its pause, and returns how many events were
// dead. It sets only column requeued_at, from which DeferredEvents derives the new state. It returns store.ErrNotFound
// for an unknown destination.
func (s *Store) RequeueEvents(ctx context.Context, name string, now time.Time) (requeued int, err error) {
	now = now.UTC().Truncate(time.Millisecond)
	err = s.changeDestination(ctx, "requeue events of", name, func(tx pgx.Tx) error {
		if err := mustFind(tx.Exec(ctx, requeueDestination, escape(name))); err != nil {
			return err
		}
		done, err := tx.Exec(ctx, requeueDeferred, escape(name), now)
		requeued = int(done.RowsAffected())
		return err
	})
	return requeued, err
}

// DeleteDestination deletes a destination with its deferred and dead events. If it is created again, its epoch
// continues to rise. DeleteDestination returns store.ErrNotFound for an unknown destination.
func (s *Store) DeleteDestination(ctx context.Context, name string) error {
	return s.changeDestination(ctx, "delete", name, func(tx pgx.Tx) error {
		if err := mustFind(tx.Exec(ctx, deleteDestination, escape(name))); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, deleteAllDeferred, escape(name))
		return err
	})
}
