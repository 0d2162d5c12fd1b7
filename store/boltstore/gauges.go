package boltstore

import (
	"bytes"
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/dlrloop/dlrloop/store"
)

// published are the figures of the last fold, for scrapes that must not read the database.
type published struct{ store.Gauges }

// publish reads the figures once for all scrapes until the next fold. The caller holds writing, or is alone.
func (s *Store) publish() {
	g := store.Gauges{Plans: make(map[string]store.PlanGauges, len(s.totals)), QuarantineEntries: s.quarantine.entries}
	now := time.Now().UTC().Truncate(time.Millisecond)
	err := s.look(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketDue).Cursor()
		for plan, t := range s.totals {
			figures := store.PlanGauges{Tally: t.Feedback}
			figures.OldestDue = s.oldestDue(c, plan, now)
			g.Plans[plan] = figures
		}
		g.SizeBytes = tx.Size()
		return nil
	})
	if err != nil && !errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		s.trouble("read", err)
	}
	stats := s.db.Stats()
	g.FreeBytes = int64(stats.FreePageN+stats.PendingPageN) * int64(s.db.Info().PageSize)
	s.published.Store(&published{g})
}

// oldestDue is since when the oldest task of a plan is due, or when its first one will be; zero for none. A task that a clock
// gave its time that has been set back since is due from now on.
func (s *Store) oldestDue(c *bolt.Cursor, plan string, now time.Time) (oldest time.Time) {
	prefix := appendPlan(nil, plan)
	key, _ := c.Seek(prefix)
	if !bytes.HasPrefix(key, prefix) {
		return time.Time{}
	}
	if oldest = dueOf(key); !oldest.After(now) {
		return oldest
	}
	key, _ = c.Seek(dueKey(plan, s.config.Policies(plan).Horizon(now).Add(time.Millisecond), 0))
	if bytes.HasPrefix(key, prefix) {
		return now
	}
	return oldest
}

// Gauges returns the figures of the last fold.
func (s *Store) Gauges() store.Gauges {
	g := s.published.Load().Gauges
	g.SizeBytes += s.journal.size()
	g.Unfolded = s.backlog.unfolded()
	return g
}
