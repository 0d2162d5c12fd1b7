package boltstore

import (
	"bytes"
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// published holds the figures for metrics as of the latest write transaction.
type published struct{ store.Gauges }

// publish computes the figures for metrics that Gauges returns until the next write transaction. The caller holds
// s.writing, or has not started another goroutine yet.
func (s *Store) publish() {
	g := store.Gauges{Plans: make(map[string]store.PlanGauges, len(s.totals)), QuarantineEntries: s.quarantine.entries}
	now := store.Now()
	err := s.viewFolded(func(tx *bolt.Tx) error {
		c := tx.Bucket(schema.BucketDue).Cursor()
		for plan, t := range s.totals {
			figures := store.PlanGauges{Tally: t.Feedback}
			figures.OldestDue = s.oldestDue(c, plan, now)
			g.Plans[plan] = figures
		}
		g.SizeBytes = tx.Size()
		return nil
	})
	if err != nil && !errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		s.reportFailure("read", err)
	}
	stats := s.db.Stats()
	g.FreeBytes = int64(stats.FreePageN+stats.PendingPageN) * int64(s.db.Info().PageSize)
	s.published.Store(&published{g})
}

// oldestDue returns the earliest time at which feedback of a plan is due, or the zero time if none is pending. A time
// that was stored before the clock was set back counts as now. c must be a cursor of BucketDue.
func (s *Store) oldestDue(c *bolt.Cursor, plan string, now time.Time) (oldest time.Time) {
	prefix := schema.AppendPlan(nil, plan)
	key, _ := c.Seek(prefix)
	if !bytes.HasPrefix(key, prefix) {
		return time.Time{}
	}
	if oldest = schema.DueOf(key); !oldest.After(now) {
		return oldest
	}
	key, _ = c.Seek(schema.DueKey(plan, s.config.Policies(plan).Horizon(now).Add(time.Millisecond), 0))
	if bytes.HasPrefix(key, prefix) {
		return now
	}
	return oldest
}

// Gauges implements store.Store: it returns figures for metrics at once, without reading the database.
func (s *Store) Gauges() store.Gauges {
	g := s.published.Load().Gauges
	g.SizeBytes += s.journal.Size()
	g.Unfolded = s.backlog.Unfolded()
	return g
}
