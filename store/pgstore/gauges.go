package pgstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// SQL statements that read gauges and totals, summed over all slots (hash partitions).
const (
	readTotals = `
SELECT plan, sum(batches)::bigint, sum(recipients)::bigint, sum(duplicates)::bigint, sum(polled)::bigint, sum(quarantined)::bigint,
    sum(pending_tasks)::bigint, sum(dead_tasks)::bigint, sum(owed)::bigint, sum(dropped)::bigint, sum(sent)::bigint, sum(dead)::bigint,
    sum(awaited)::bigint
FROM total GROUP BY plan`

	readMessages = `
SELECT plan, status, class, sum(messages)::bigint FROM message_total GROUP BY plan, status, class
HAVING sum(messages) <> 0 ORDER BY plan, status, class`

	// readTallies reads only the totals that can also decrease: tasks, their recipients and missing messages.
	readTallies = `
SELECT plan, sum(pending_tasks)::bigint, sum(dead_tasks)::bigint, sum(owed)::bigint, sum(dropped)::bigint, sum(sent)::bigint,
    sum(dead)::bigint, sum(awaited)::bigint
FROM total GROUP BY plan`

	readQuarantined = `SELECT count(*) FROM quarantine`

	readSize = `
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind = 'r'
    AND c.relname IN ('batch', 'recipient', 'report_log', 'minute_count', 'total', 'message_total', 'quarantine',
        'inbound', 'event_log', 'deferred_event', 'meta', 'replica', 'duty')`

	// readSizeOfShards replaces readSize with Citus, where the tables are empty and the rows are in their shards.
	readSizeOfShards = `
SELECT coalesce(sum(citus_total_relation_size(p.logicalrelid)), 0)::bigint
FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema()`
)

// readOldest finds the earliest and the latest due time of a task in slot $1, for each of the plans $2. $2 must be the
// same for every slot, because the totals of a plan may be in other slots than its batches.
const readOldest slotSQL = `
SELECT plan, min(due) AS due, max(latest) AS latest
FROM (SELECT p.plan, (SELECT min(b.due) FROM batch b WHERE b.slot = $1 AND b.plan = p.plan AND b.due IS NOT NULL) AS due,
    (SELECT max(b.due) FROM batch b WHERE b.slot = $1 AND b.plan = p.plan AND b.due IS NOT NULL) AS latest
    FROM unnest($2::text[]) AS p (plan)) o WHERE due IS NOT NULL
GROUP BY plan`

const (
	// refreshEvery is the interval at which all gauges but the size are read.
	refreshEvery = time.Second
	// sizeEvery is the number of refreshes per reading of the size, which makes the server stat every file of every
	// table.
	sizeEvery = 10
)

// Gauges returns cached values for the metrics. The database size is at most about ten seconds old, all other values
// about one second. Gauges does not block, and the caller may change the result. FreeBytes is always 0: PostgreSQL
// reports reusable space only through the extension pg_freespacemap.
func (s *Store) Gauges() store.Gauges {
	g := *s.published.Load()
	g.Plans = maps.Clone(g.Plans)
	s.replicas.gauges(&g, time.Now())
	return g
}

// runRefresh refreshes the gauges every refreshEvery until ctx ends. It reads the database size only in one of
// sizeEvery refreshes.
func (s *Store) runRefresh(ctx context.Context) {
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		within, done := context.WithTimeout(ctx, 10*refreshEvery)
		err := retry(within, func() error { return s.refreshTallies(within) })
		if n%sizeEvery == 0 {
			err = errors.Join(err, retry(within, func() error { return s.refreshSize(within) }))
		}
		if err != nil && ctx.Err() == nil {
			s.reportFailure("read", err)
		}
		done()
	}
}

// refresh reads all gauges from the database and stores them for Gauges.
func (s *Store) refresh(ctx context.Context) error {
	s.published.CompareAndSwap(nil, &store.Gauges{})
	return errors.Join(s.refreshTallies(ctx), s.refreshSize(ctx))
}

// refreshTallies reads all gauges except the database size, and stores them for Gauges. It runs several statements one
// after the other, so the values may be from slightly different times.
func (s *Store) refreshTallies(ctx context.Context) error {
	s.gaugesMu.Lock()
	defer s.gaugesMu.Unlock()
	g := *s.published.Load()
	var err error
	if g.Plans, err = s.tallies(ctx); err != nil {
		return fmt.Errorf("read the totals: %w", err)
	}
	if err := s.addOldest(ctx, g.Plans); err != nil {
		return fmt.Errorf("read the oldest tasks: %w", err)
	}
	if err := s.pool.QueryRow(ctx, readQuarantined).Scan(&g.QuarantineEntries); err != nil {
		return fmt.Errorf("count the quarantine: %w", err)
	}
	s.published.Store(&g)
	return nil
}

// tallies returns the gauges of feedback tasks and recipients by plan id, without OldestDue.
func (s *Store) tallies(ctx context.Context) (map[string]store.PlanGauges, error) {
	rows, err := s.pool.Query(ctx, readTallies)
	if err != nil {
		return nil, err
	}
	var (
		plans = make(map[string]store.PlanGauges)
		plan  string
		p     store.PlanGauges
	)
	columns := []any{&plan, &p.PendingTasks, &p.DeadTasks, &p.Owed, &p.Dropped, &p.Sent, &p.Dead, &p.Missing}
	_, err = pgx.ForEachRow(rows, columns, func() error {
		plans[unescape(plan)] = p
		return nil
	})
	return plans, err
}

// addOldest sets the field OldestDue (the earliest due time) of those elements of plans that have pending tasks.
func (s *Store) addOldest(ctx context.Context, plans map[string]store.PlanGauges) error {
	var pending []string
	for plan, p := range plans {
		if p.PendingTasks > 0 {
			pending = append(pending, escape(plan))
		}
	}
	if len(pending) == 0 {
		return nil
	}
	type oldest struct {
		Plan        string
		Due, Latest time.Time
	}
	now := store.Now()
	all, err := overSlots(ctx, s, pgx.RowToStructByPos[oldest], readOldest, pending)
	for _, o := range all {
		p := plans[unescape(o.Plan)]
		if o.Due.After(now) && o.Latest.After(s.config.Policies(unescape(o.Plan)).Horizon(now)) {
			o.Due = now // this due time was set before the clock was set back: the task is due now
		}
		if p.OldestDue.IsZero() || o.Due.Before(p.OldestDue) {
			p.OldestDue = o.Due.UTC()
		}
		plans[unescape(o.Plan)] = p
	}
	return err
}

// refreshSize reads the size of the database in bytes and stores it for Gauges. The size stays 0 if a Portable database
// cannot report it.
func (s *Store) refreshSize(ctx context.Context) error {
	query := readSize
	if s.config.Dialect == Citus {
		query = readSizeOfShards
	}
	var size int64
	err := s.pool.QueryRow(ctx, query).Scan(&size)
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "42883" && s.config.Dialect == Portable {
		err = nil // the database does not have the function
	}
	if err != nil {
		return fmt.Errorf("read the size: %w", err)
	}
	s.gaugesMu.Lock()
	defer s.gaugesMu.Unlock()
	g := *s.published.Load()
	g.SizeBytes = size
	s.published.Store(&g)
	return nil
}

// Stats returns the totals of every plan, sorted by plan. It also updates the gauges that show the same numbers.
func (s *Store) Stats(ctx context.Context) (stats []store.PlanStats, err error) {
	if s.closed.Load() {
		return nil, store.ErrClosed
	}
	s.gaugesMu.Lock()
	defer s.gaugesMu.Unlock()
	err = s.snapshot(ctx, func(tx pgx.Tx) error {
		stats, err = totalsIn(ctx, tx)
		return err
	})
	if err != nil {
		return nil, s.readError(err)
	}
	g := *s.published.Load()
	g.Plans = maps.Clone(g.Plans)
	for _, p := range stats {
		gauges := g.Plans[p.Plan]
		if gauges.Tally = p.Feedback; gauges.PendingTasks == 0 {
			gauges.OldestDue = time.Time{}
		}
		g.Plans[p.Plan] = gauges
	}
	s.published.Store(&g)
	return stats, nil
}

// snapshot runs read in a read-only transaction whose statements all see the same state of the database.
func (s *Store) snapshot(ctx context.Context, read func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, read)
}

// totalsIn reads the totals of every plan in transaction tx, and sorts them by plan.
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
		p.Plan = unescape(p.Plan)
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
		total := store.StatusTotal{Status: dlr.Status(status), Class: dlr.Class(class), Messages: n}
		messages[unescape(plan)] = append(messages[unescape(plan)], total)
		return nil
	})
	for i := range stats {
		stats[i].Messages = messages[stats[i].Plan]
	}
	slices.SortFunc(stats, func(a, b store.PlanStats) int { return strings.Compare(a.Plan, b.Plan) })
	return stats, err
}
