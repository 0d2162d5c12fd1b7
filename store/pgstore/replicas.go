package pgstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
)

// SQL statements on table replica (column beat is the heartbeat counter) and on the leader leases in table duty.
const (
	writeHeartbeat = `
INSERT INTO replica (token, id, beat) VALUES ($1, $2, $3)
ON CONFLICT (token) DO UPDATE SET id = excluded.id, beat = excluded.beat`

	readReplicas = `SELECT token, id, beat FROM replica`

	// A replica that has sent a heartbeat since it was read keeps its row.
	deleteStoppedReplica = `DELETE FROM replica WHERE token = $1 AND beat = $2`
	deleteReplica        = `DELETE FROM replica WHERE token = $1`
	deleteLeaderLeases   = `DELETE FROM duty WHERE token = $1`
)

// heartbeatTimeout is the time limit for one heartbeat. It is so short that after a timeout, another heartbeat can
// succeed before the quota share of this replica becomes 0.
const heartbeatTimeout = 3 * time.Second

// membership is what this replica knows of the replicas that share the database, and its own heartbeat counter.
type membership struct {
	members                           // owned by the heartbeat goroutine
	view         atomic.Pointer[view] // result of the last successful heartbeat
	leaderLeases atomic.Pointer[[]leaderLease]
}

// init sets a random token for this process, and the replica id. An empty id is replaced by one made from the token.
func (m *membership) init(id string) {
	m.self = replica{token: rand.Text(), id: escape(id)}
	if id == "" {
		m.self.id = "replica-" + m.self.token[:6]
	}
}

// QuotaShare returns the fraction of a shared limit, such as the feedback rate of a plan, that this replica may use: 1
// divided by the number of live replicas, or 0 if no heartbeat has succeeded for 8 seconds. After such an outage, and
// after Open, it returns 0 for 10 more seconds if other replicas, even crashed ones, are in table replica: they may not
// know this replica yet. It does not block.
func (s *Store) QuotaShare() float64 {
	if s.closed.Load() {
		return 0
	}
	return s.replicas.view.Load().quotaShare(time.Now())
}

// register announces this replica to the others by a first heartbeat. It blocks until the heartbeat is durable.
func (s *Store) register(ctx context.Context) error {
	s.replicas.init(s.config.Replica)
	return s.heartbeat(ctx)
}

// runHeartbeats sends a heartbeat every heartbeatEvery until ctx ends. Then it unregisters this replica.
func (s *Store) runHeartbeats(ctx context.Context) {
	ticker := time.NewTicker(heartbeatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			s.unregister()
			return
		case <-ticker.C:
		}
		within, done := context.WithTimeout(ctx, heartbeatTimeout)
		if err := s.heartbeat(within); err != nil && ctx.Err() == nil {
			s.reportFailure("replica", err)
		}
		done()
	}
}

// heartbeat writes this replica's counter, reads the counters of all replicas and derives which replicas are alive. The
// write must be durable before the read, so that of two replicas that start together at least one sees the other.
func (s *Store) heartbeat(ctx context.Context) error {
	m, began := &s.replicas, time.Now()
	m.self.heartbeat++
	if err := s.run(ctx, writeHeartbeat, m.self.token, m.self.id, m.self.heartbeat); err != nil {
		return fmt.Errorf("write heartbeat: %w", err)
	}
	written := time.Now()
	all, err := s.readReplicas(ctx)
	if err != nil {
		return fmt.Errorf("read replicas: %w", err)
	}
	v := m.update(began, written, time.Now(), all)
	m.view.Store(&v)
	if v.duplicateID {
		s.reportFailure("replica",
			fmt.Errorf("another running replica also has the id %s: give every replica its own id", m.self.id))
	}
	return errors.Join(s.deleteStopped(ctx, v.stopped), s.readLeaderLeases(ctx))
}

// run runs one statement that changes rows, in a transaction of its own, and retries it after retryable failures.
func (s *Store) run(ctx context.Context, statement string, arguments ...any) error {
	return s.writing(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, statement, arguments...)
		return err
	})
}

// readReplicas returns the rows of all replicas, including this one.
func (s *Store) readReplicas(ctx context.Context) (all []replica, err error) {
	err = retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, readReplicas)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r replica, err error) {
			err = row.Scan(&r.token, &r.id, &r.heartbeat)
			return r, err
		})
		return err
	})
	return all, err
}

// deleteStopped deletes the rows of replicas that stopped long ago, and their leader leases. A replica that has sent a
// heartbeat since its row was read keeps both.
func (s *Store) deleteStopped(ctx context.Context, stopped []replica) error {
	for _, r := range stopped {
		err := s.writing(ctx, func(tx pgx.Tx) error {
			deleted, err := tx.Exec(ctx, deleteStoppedReplica, r.token, r.heartbeat)
			if err != nil || deleted.RowsAffected() == 0 {
				return err
			}
			_, err = tx.Exec(ctx, deleteLeaderLeases, r.token)
			return err
		})
		if err != nil {
			return fmt.Errorf("delete the row and leader leases of stopped replica %s: %w", r.id, err)
		}
	}
	return nil
}

// unregister deletes this replica's row and leader leases, so that other replicas get its quota share and leases at
// once.
func (s *Store) unregister() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	for _, statement := range []string{deleteLeaderLeases, deleteReplica} {
		if err := s.run(ctx, statement, s.replicas.self.token); err != nil {
			s.reportFailure("replica", fmt.Errorf("unregister: %w", err))
			return
		}
	}
}

// gauges sets three fields of g: this replica's id, the live replicas, and the holder of each leader lease at now.
func (m *membership) gauges(g *store.Gauges, now time.Time) {
	g.Replica, g.Replicas, g.Leaders = unescape(m.self.id), make([]string, 0, 4), make(map[string]string)
	for _, id := range m.view.Load().ids {
		g.Replicas = append(g.Replicas, unescape(id))
	}
	for _, l := range *m.leaderLeases.Load() {
		if now.Before(l.until) {
			g.Leaders[l.name] = unescape(l.replica)
		}
	}
}
