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

const (
	beatRow = `
INSERT INTO replica (token, id, beat) VALUES ($1, $2, $3)
ON CONFLICT (token) DO UPDATE SET id = excluded.id, beat = excluded.beat`

	readReplicas = `SELECT token, id, beat FROM replica`

	// One that beats again since it was seen keeps its row.
	forgetReplica = `DELETE FROM replica WHERE token = $1 AND beat = $2`
	leaveReplicas = `DELETE FROM replica WHERE token = $1`
	leaveDuties   = `DELETE FROM duty WHERE token = $1`
)

// lookTime is how long a look may take: one that gets no answer leaves time for another before the share ends.
const lookTime = 3 * time.Second

// membership is this replica among those that share the database.
type membership struct {
	members                      // of the goroutine that looks
	view    atomic.Pointer[view] // what the last look showed
	duties  atomic.Pointer[[]duty]
}

func (m *membership) init(id string) {
	m.self = replica{token: rand.Text(), id: text(id)}
	if id == "" {
		m.self.id = "replica-" + m.self.token[:6]
	}
}

// Share is 1 divided by the replicas that are alive. It is 0 while others may not know of this one: for goneAfter after a start that
// finds others, or rows of others that ended without a word, and after the database was out of reach for longer than heldFor.
func (s *Store) Share() float64 {
	if s.closed.Load() {
		return 0
	}
	return s.replicas.view.Load().share(time.Now())
}

// join makes this replica one of those that share the database.
func (s *Store) join(ctx context.Context) error {
	s.replicas.init(s.config.Replica)
	return s.look(ctx)
}

// beating beats and looks until ctx ends, and then leaves.
func (s *Store) beating(ctx context.Context) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			s.leave()
			return
		case <-ticker.C:
		}
		within, done := context.WithTimeout(ctx, lookTime)
		if err := s.look(within); err != nil && ctx.Err() == nil {
			s.trouble("replica", err)
		}
		done()
	}
}

// look beats once, reads who else does, and publishes what follows. The beat has to be durable before others' are read: of two
// that start together at least one sees the other.
func (s *Store) look(ctx context.Context) error {
	m, began := &s.replicas, time.Now()
	m.self.beat++
	if err := s.run(ctx, beatRow, m.self.token, m.self.id, m.self.beat); err != nil {
		return fmt.Errorf("beat: %w", err)
	}
	beaten := time.Now()
	all, err := s.readReplicas(ctx)
	if err != nil {
		return fmt.Errorf("look for other replicas: %w", err)
	}
	v := m.look(began, beaten, time.Now(), all)
	m.view.Store(&v)
	if v.namesake {
		s.trouble("replica", fmt.Errorf("another replica that runs is called %s too: give each an id of its own", m.self.id))
	}
	return errors.Join(s.forget(ctx, v.forgotten), s.readDuties(ctx))
}

// run runs one statement that changes rows.
func (s *Store) run(ctx context.Context, statement string, arguments ...any) error {
	return s.writing(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, statement, arguments...)
		return err
	})
}

func (s *Store) readReplicas(ctx context.Context) (all []replica, err error) {
	err = again(ctx, func() error {
		rows, err := s.pool.Query(ctx, readReplicas)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r replica, err error) {
			err = row.Scan(&r.token, &r.id, &r.beat)
			return r, err
		})
		return err
	})
	return all, err
}

// forget deletes the rows of replicas that ended without a word long ago, and what duties they had.
func (s *Store) forget(ctx context.Context, forgotten []replica) error {
	for _, r := range forgotten {
		if err := s.run(ctx, forgetReplica, r.token, r.beat); err != nil {
			return fmt.Errorf("forget replica %s: %w", r.id, err)
		}
		if err := s.run(ctx, leaveDuties, r.token); err != nil {
			return fmt.Errorf("take the duties of replica %s: %w", r.id, err)
		}
	}
	return nil
}

// leave says that this replica ends, so that the others need not wait for its beat or for the end of its duties.
func (s *Store) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	for _, statement := range []string{leaveDuties, leaveReplicas} {
		if err := s.run(ctx, statement, s.replicas.self.token); err != nil {
			s.trouble("replica", fmt.Errorf("leave: %w", err))
			return
		}
	}
}

// gauges adds to g who shares the database and who has which duty.
func (m *membership) gauges(g *store.Gauges, now time.Time) {
	g.Replica, g.Replicas, g.Duties = plain(m.self.id), make([]string, 0, 4), make(map[string]string)
	for _, id := range m.view.Load().ids {
		g.Replicas = append(g.Replicas, plain(id))
	}
	for _, d := range *m.duties.Load() {
		if now.Before(d.until) {
			g.Duties[d.name] = plain(d.replica)
		}
	}
}
