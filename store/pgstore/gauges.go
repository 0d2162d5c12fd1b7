package pgstore

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

const (
	readTotals = `
SELECT plan, sum(batches)::bigint, sum(recipients)::bigint, sum(duplicates)::bigint, sum(polled)::bigint, sum(quarantined)::bigint,
    sum(pending_tasks)::bigint, sum(dead_tasks)::bigint, sum(owed)::bigint, sum(dropped)::bigint, sum(sent)::bigint, sum(dead)::bigint,
    sum(awaited)::bigint
FROM total GROUP BY plan`

	readMessages = `
SELECT plan, status, class, sum(messages)::bigint FROM message_total GROUP BY plan, status, class
HAVING sum(messages) <> 0 ORDER BY plan, status, class`

	readOldest = `
SELECT t.plan, min(b.due) FROM total t CROSS JOIN LATERAL (
    SELECT due FROM batch WHERE slot = t.slot AND plan = t.plan AND due IS NOT NULL ORDER BY due LIMIT 1
) b GROUP BY t.plan`

	readSize = `
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint, (SELECT count(*) FROM quarantine)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind = 'r'
    AND c.relname IN ('batch', 'recipient', 'report_log', 'minute_count', 'total', 'message_total', 'quarantine', 'meta')`
)

// refreshEvery is how old the figures of Gauges may be.
const refreshEvery = time.Second

// Gauges returns figures of the last second.
func (s *Store) Gauges() store.Gauges {
	g := *s.published.Load()
	g.Plans = maps.Clone(g.Plans)
	return g
}

// refreshing refreshes the figures until ctx ends.
func (s *Store) refreshing(ctx context.Context) {
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		within, done := context.WithTimeout(ctx, 10*refreshEvery)
		if err := s.refresh(within); err != nil && ctx.Err() == nil {
			s.trouble("read", err)
		}
		done()
	}
}

// refresh reads the figures and publishes them.
func (s *Store) refresh(ctx context.Context) error {
	s.gauging.Lock()
	defer s.gauging.Unlock()
	var (
		stats  []store.PlanStats
		g      = store.Gauges{Plans: make(map[string]store.PlanGauges)}
		oldest = make(map[string]time.Time)
	)
	err := s.snapshot(ctx, func(tx pgx.Tx) (err error) {
		if stats, err = totalsIn(ctx, tx); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, readSize).Scan(&g.SizeBytes, &g.QuarantineEntries); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, readOldest)
		if err != nil {
			return err
		}
		var (
			plan string
			due  time.Time
		)
		_, err = pgx.ForEachRow(rows, []any{&plan, &due}, func() error {
			oldest[plain(plan)] = due.UTC()
			return nil
		})
		return err
	})
	if err != nil {
		return err
	}
	for _, p := range stats {
		g.Plans[p.Plan] = store.PlanGauges{Tally: p.Feedback, OldestDue: oldest[p.Plan]}
	}
	s.published.Store(&g)
	return nil
}

// Stats reads the totals of every plan, and lets Gauges know of them.
func (s *Store) Stats(ctx context.Context) (stats []store.PlanStats, err error) {
	if s.closed.Load() {
		return nil, store.ErrClosed
	}
	s.gauging.Lock()
	defer s.gauging.Unlock()
	err = s.snapshot(ctx, func(tx pgx.Tx) error {
		stats, err = totalsIn(ctx, tx)
		return err
	})
	if err != nil {
		return nil, s.readError(err)
	}
	g := s.Gauges()
	for _, p := range stats {
		known := g.Plans[p.Plan]
		if known.Tally = p.Feedback; known.PendingTasks == 0 {
			known.OldestDue = time.Time{}
		}
		g.Plans[p.Plan] = known
	}
	s.published.Store(&g)
	return stats, nil
}

// snapshot runs reads that see the same state.
func (s *Store) snapshot(ctx context.Context, read func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, read)
}

// totalsIn reads the totals of every plan, sorted by plan.
func totalsIn(ctx context.Context, tx pgx.Tx) (stats []store.PlanStats, err error) {
	rows, err := tx.Query(ctx, readTotals)
	if err != nil {
		return nil, err
	}
	stats, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (p store.PlanStats, err error) {
		into := []any{&p.Plan}
		for _, figure := range columnsOf(&p) {
			into = append(into, figure)
		}
		err = row.Scan(into...)
		p.Plan = plain(p.Plan)
		return p, err
	})
	if err != nil {
		return nil, err
	}
	messages := make(map[string][]store.StatusTotal)
	if rows, err = tx.Query(ctx, readMessages); err != nil {
		return nil, err
	}
	var (
		plan, status, class string
		n                   int
	)
	_, err = pgx.ForEachRow(rows, []any{&plan, &status, &class, &n}, func() error {
		messages[plain(plan)] = append(messages[plain(plan)], store.StatusTotal{Status: dlr.Status(status), Class: dlr.Class(class), Messages: n})
		return nil
	})
	for i := range stats {
		stats[i].Messages = messages[stats[i].Plan]
	}
	slices.SortFunc(stats, func(a, b store.PlanStats) int { return strings.Compare(a.Plan, b.Plan) })
	return stats, err
}
