package boltstore

import (
	"bytes"
	"errors"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/dlrloop/dlrloop/store"
)

// published are the figures of the last fold, for scrapes that must not read the database.
type published struct{ store.Gauges }

// publish reads the figures once for all scrapes until the next fold. The caller holds writing, or is alone.
func (s *Store) publish() {
	g := store.Gauges{Plans: make(map[string]store.PlanGauges, len(s.totals)), QuarantineEntries: s.quarantine.entries}
	err := s.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucketDue).Cursor()
		for plan, t := range s.totals {
			figures := store.PlanGauges{Tally: t.Feedback}
			prefix := appendPlan(nil, plan)
			if key, _ := c.Seek(prefix); bytes.HasPrefix(key, prefix) {
				figures.OldestDue = dueOf(key)
			}
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

// Gauges returns the figures of the last fold.
func (s *Store) Gauges() store.Gauges {
	g := s.published.Load().Gauges
	g.SizeBytes += s.journal.size()
	g.Unfolded = s.backlog.unfolded()
	return g
}
