package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
)

const (
	// Who has a duty keeps it; who has not gets it when its time is over.
	holdDuty = `
INSERT INTO duty (name, token, replica, held_until) VALUES ($1, $2, $3, $5)
ON CONFLICT (name) DO UPDATE SET token = excluded.token, replica = excluded.replica, held_until = excluded.held_until
WHERE duty.token = excluded.token OR duty.held_until <= $4`

	readDuties = `SELECT name, replica, held_until FROM duty`
)

// duty is a row: who has a duty, until when.
type duty struct {
	name, replica string
	until         time.Time
}

// Hold takes or keeps a duty. It is this process's: another with the same id does not get it.
func (s *Store) Hold(ctx context.Context, name string, now, until time.Time) (held bool, err error) {
	if s.closed.Load() {
		return false, store.ErrClosed
	}
	self := &s.replicas.self
	err = s.writing(ctx, func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, holdDuty, text(name), self.token, self.id, now, until)
		held = done.RowsAffected() > 0
		return err
	})
	if err != nil {
		return false, s.readError(fmt.Errorf("hold duty %s: %w", name, err))
	}
	return held, nil
}

// readDuties publishes who has which duty.
func (s *Store) readDuties(ctx context.Context) error {
	var duties []duty
	err := again(ctx, func() error {
		rows, err := s.pool.Query(ctx, readDuties)
		if err != nil {
			return err
		}
		duties, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d duty, err error) {
			err = row.Scan(&d.name, &d.replica, &d.until)
			d.name = plain(d.name)
			return d, err
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("read the duties: %w", err)
	}
	s.replicas.duties.Store(&duties)
	return nil
}
