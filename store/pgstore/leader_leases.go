package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
)

// SQL statements on table duty, which holds the leader leases. A leader lease lets one replica do a background job.
const (
	// acquireLeaderLease lets the holder renew its lease, and another process acquire the lease after its end.
	acquireLeaderLease = `
INSERT INTO duty (name, token, replica, held_until) VALUES ($1, $2, $3, $5)
ON CONFLICT (name) DO UPDATE SET token = excluded.token, replica = excluded.replica, held_until = excluded.held_until
WHERE duty.token = excluded.token OR duty.held_until <= $4`

	readLeaderLeases = `SELECT name, replica, held_until FROM duty`
)

// leaderLease is a row of table duty: which replica holds the leader lease with this name, and until when.
type leaderLease struct {
	name, replica string
	until         time.Time
}

// AcquireLease acquires or renews the leader lease with this name until the given time, and reports whether this
// process holds the lease. If another process holds it, AcquireLease takes it over only if the lease ended at or before
// now. Another process with the same replica id counts as another holder.
func (s *Store) AcquireLease(ctx context.Context, name string, now, until time.Time) (held bool, err error) {
	if s.closed.Load() {
		return false, store.ErrClosed
	}
	self := &s.replicas.self
	err = s.writing(ctx, func(tx pgx.Tx) error {
		done, err := tx.Exec(ctx, acquireLeaderLease, escape(name), self.token, self.id, now, until)
		held = done.RowsAffected() > 0
		return err
	})
	if err != nil {
		return false, s.readError(fmt.Errorf("acquire leader lease %s: %w", name, err))
	}
	return held, nil
}

// readLeaderLeases reads all leader leases and stores them for Gauges.
func (s *Store) readLeaderLeases(ctx context.Context) error {
	var leases []leaderLease
	err := retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, readLeaderLeases)
		if err != nil {
			return err
		}
		leases, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l leaderLease, err error) {
			err = row.Scan(&l.name, &l.replica, &l.until)
			l.name = unescape(l.name)
			return l, err
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("read leader leases: %w", err)
	}
	s.replicas.leaderLeases.Store(&leases)
	return nil
}
