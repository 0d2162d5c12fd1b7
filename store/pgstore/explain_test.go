package pgstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// largeTables are the tables that no statement may scan sequentially.
var largeTables = []string{
	"batch", "recipient", "report_log", "minute_count", "quarantine", "inbound", "event_log", "deferred_event",
}

// TestNoSequentialScans runs every statement on tables with many rows and checks the query plans: the custom plan for
// the parameters used, and the generic plan.
func TestNoSequentialScans(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads query plans, in one goroutine")
	}
	t.Parallel()
	address := postgres.Database(t)
	fillTables(t, address)
	for _, d := range []pgstore.Dialect{pgstore.Postgres, pgstore.Portable} {
		t.Run(string(d), func(t *testing.T) {
			w := newRecorder()
			runEveryStatement(t, w.intercept(t, address), d)
			explain(t, address, w)
		})
	}
}

// fillTables copies the rows of a few recorded batches many times, into all slots.
func fillTables(t *testing.T, address string) {
	t.Helper()
	execute(t, address, `UPDATE meta SET slots = 32`)
	s, err := pgstore.Open(t.Context(), pgstore.Config{URL: address, Policies: withEvents})
	require.NoError(t, err)
	record(t, s, "seed")
	deferEvents(t, s, "seed")
	require.NoError(t, s.Close())
	copies := func(table string, n int, columns string) {
		execute(t, address, fmt.Sprintf(`
INSERT INTO %[1]s SELECT (jsonb_populate_record(r, jsonb_build_object('slot', n %% 32, %[2]s))).*
FROM (SELECT r FROM %[1]s r LIMIT 1) x (r) CROSS JOIN generate_series(1, %[3]d) AS n ON CONFLICT DO NOTHING`, table, columns, n))
	}
	const at = `timestamptz '2026-01-01' + n * interval '1 minute'`
	copies("batch", 50_000, `'batch_id', 'batch ' || n || (x.r).batch_id, 'first_at', `+at+`, 'last_at', `+at)
	copies("recipient", 40_000, `'batch_id', 'batch ' || n % 1000, 'digits', '44' || n`)
	copies("report_log", 10_000, `'batch_id', 'batch ' || n % 1000, 'place', n`)
	copies("minute_count", 20_000, `'minute', `+at)
	copies("quarantine", 30_000, `'id', n`)
	copies("inbound", 30_000, `'id', n, 'arrived_at', `+at)
	copies("event_log", 30_000, `'stream', n % 100, 'seq', n`)
	copies("deferred_event", 30_000, `'name', 'app ' || n % 100, 'id', n, 'dead', n % 2 = 0`)
	execute(t, address, `ANALYZE`)
}

// record records an arrival of every kind.
func record(t *testing.T, s *pgstore.Store, id string) {
	t.Helper()
	wanted := store.BatchInfo{
		BatchID: id, FeedbackEnabled: true, ReportKind: "per_recipient", ClientReference: "order 7",
		Recipients: 3, Numbers: []string{number(1), number(2), number(3)},
		CreatedAt: epoch, SendAt: epoch, ExpireAt: epoch.Add(time.Hour),
	}
	for _, n := range []store.Entry{
		wanted, delivered(id, number(1)).Entry, delivered(id, number(2)).Entry,
		store.Quarantined{Reason: dlr.NotJSON, Raw: []byte("{")},
		store.Quarantined{Reason: dlr.NotJSON, Raw: []byte("[")},
		texts("mo " + id),
	} {
		require.NoError(t, s.Record(t.Context(), arrives(n)))
	}
}

func withEvents(string) store.Policy { return store.Policy{Events: true} }

// deferEvents stores a destination with a deferred and a dead event, and replaces both.
func deferEvents(t *testing.T, s *pgstore.Store, name string) {
	t.Helper()
	put := []store.DeferredEvent{{ID: 1, Since: epoch}, {ID: 2, Since: epoch, Dead: true}}
	for i := range put {
		put[i].Event = store.Event{Type: store.RecipientStatus, At: epoch, Plan: "plan", BatchID: name}
	}
	var saved int64
	for range 2 {
		var err error
		saved, err = s.SaveDestination(t.Context(), name, store.DestinationChange{Epoch: saved, Put: put})
		require.NoError(t, err)
	}
}

// readsEvents runs each read of events and destinations, and what deletes them.
func readsEvents(t *testing.T, s *pgstore.Store) error {
	ctx := t.Context()
	page, err := s.Events(ctx, "", 5)
	if err != nil || len(page.Events) == 0 {
		return fmt.Errorf("%d events: %w", len(page.Events), err)
	}
	_, err = s.EventBacklog(ctx, page.Next)
	deferEvents(t, s, "another")
	for _, dead := range []bool{false, true} {
		_, listErr := s.DeferredEvents(ctx, "seed", dead, store.Paging{})
		err = errors.Join(err, listErr)
	}
	_, requeueErr := s.RequeueEvents(ctx, "another", epoch)
	_, _, oldErr := s.DeleteOlder(ctx, epoch.Add(time.Second), 5)
	trimErr := s.TrimEvents(ctx, epoch.Add(time.Second))
	return errors.Join(err, requeueErr, oldErr, trimErr, s.DeleteDestination(ctx, "another"))
}

// erases records a number that no other arrival contains, with an arrival of every kind, and erases it.
func erases(t *testing.T, s *pgstore.Store) error {
	t.Helper()
	for _, n := range []store.Entry{
		delivered("another", number(9)).Entry, textsFrom("erased", number(9)),
		store.Quarantined{Reason: dlr.NotJSON, Raw: []byte(number(9))},
	} {
		require.NoError(t, s.Record(t.Context(), arrives(n)))
	}
	put := []store.DeferredEvent{{ID: 1, Since: epoch}}
	put[0].Event = store.Event{Type: store.RecipientStatus, At: epoch, Plan: "plan", BatchID: "another", Number: number(9)}
	_, err := s.SaveDestination(t.Context(), "erased", store.DestinationChange{Put: put})
	require.NoError(t, err)
	erased, err := s.Erase(t.Context(), number(9))
	require.Equal(t, store.Erased{Recipients: 1, Reports: 1, InboundMessages: 1, Quarantined: 1, Events: 3}, erased)
	return errors.Join(err, s.DeleteDestination(t.Context(), "erased"))
}

// texts returns an inbound message.
func texts(id string) store.Inbound { return textsFrom(id, number(1)) }

func textsFrom(id, number string) store.Inbound {
	raw := fmt.Appendf(nil, `{"type":"mo_text","id":%q,"from":%q,"to":"54321","body":"STOP"}`, id, number)
	c, err := dlr.Parse(raw)
	if err != nil {
		panic(err)
	}
	return store.Inbound{Inbound: c.Inbound, Raw: raw}
}

// runEveryStatement makes a store run each of its statements.
func runEveryStatement(t *testing.T, address string, d pgstore.Dialect) {
	t.Helper()
	s := newStore(t, pgstore.Config{URL: address, Dialect: d, Policies: func(string) store.Policy {
		return store.Policy{MissingReports: store.MissingReports{Silence: time.Minute, Grace: time.Minute}, Events: true}
	}})
	ctx, late := t.Context(), epoch.Add(time.Hour)
	record(t, s, "another")
	for list, read := range map[string]func() error{
		"Claim": func() error {
			claims, err := s.Claim(ctx, "plan", late, time.Minute, 5)
			if err != nil || len(claims) == 0 {
				return fmt.Errorf("%d claims: %w", len(claims), err)
			}
			c := claims[0]
			settled := store.Settlement{
				BatchID: c.Key.BatchID, Lease: c.Lease, Recipients: c.Recipients, Outcome: store.OutcomeDead,
			}
			return s.Record(ctx, arrives(settled))
		},
		"MissingReports": func() error { _, err := s.MissingReports(ctx, "plan", late, 5); return err },
		"Batch":          func() error { _, err := s.Batch(ctx, key("another")); return err },
		"Recipient":      func() error { _, err := s.Recipient(ctx, key("another"), number(1)); return err },
		"Batches":        func() error { _, err := s.Batches(ctx, store.BatchQuery{}); return err },
		"Batches of a plan": func() error {
			_, err := s.Batches(ctx, store.BatchQuery{Plan: "plan", Status: dlr.Delivered})
			return err
		},
		"Batches by reference": func() error {
			_, err := s.Batches(ctx, store.BatchQuery{ClientReference: "order 7"})
			return err
		},
		"Recipients": func() error { _, err := s.Recipients(ctx, key("another"), store.RecipientQuery{}); return err },
		"Recipients by status": func() error {
			_, err := s.Recipients(ctx, key("another"), store.RecipientQuery{Status: dlr.Delivered})
			return err
		},
		"RecipientBatches": func() error { _, err := s.RecipientBatches(ctx, number(1), store.Paging{}); return err },
		"Reports":          func() error { _, err := s.Reports(ctx, key("another"), store.Paging{}); return err },
		"Tasks":            func() error { _, err := s.Tasks(ctx, store.TaskQuery{}); return err },
		"Tasks of a plan":  func() error { _, err := s.Tasks(ctx, store.TaskQuery{Plan: "plan"}); return err },
		"dead":             func() error { _, err := s.Tasks(ctx, store.TaskQuery{Dead: true}); return err },
		"dead of a plan":   func() error { _, err := s.Tasks(ctx, store.TaskQuery{Dead: true, Plan: "plan"}); return err },
		"Quarantine":       func() error { _, err := s.Quarantine(ctx, store.Paging{}); return err },
		"Inbound":          func() error { _, err := s.InboundMessage(ctx, "plan", "mo another"); return err },
		"Inbound messages": func() error { _, err := s.InboundMessages(ctx, store.InboundQuery{}); return err },
		"Inbound messages of a plan": func() error {
			_, err := s.InboundMessages(ctx, store.InboundQuery{Plan: "plan", From: epoch, To: late})
			return err
		},
		"Inbound messages of a number": func() error {
			_, err := s.InboundMessages(ctx, store.InboundQuery{Number: number(1)})
			return err
		},
		"Stats":       func() error { _, err := s.Stats(ctx); return err },
		"Timeseries":  func() error { _, err := s.Timeseries(ctx, "", epoch, late); return err },
		"DeleteOlder": func() error { _, _, err := s.DeleteOlder(ctx, epoch.AddDate(0, 0, -58), 5); return err },
	} {
		require.NoError(t, read(), list)
	}
	require.NoError(t, readsEvents(t, s))
	require.NoError(t, erases(t, s))
	require.Eventually(t, func() bool {
		return queryOne[int](t, address, `SELECT count(*) FROM quarantine`) <= 10_000
	}, timeout, 10*time.Millisecond)
	require.NoError(t, s.Close())
}

// readsAll matches the statements that may scan quarantine, which is kept small: its count, once a second, and its
// measurement.
var readsAll = regexp.MustCompile(
	`^\s*SELECT count\(\*\) FROM quarantine|FROM quarantine WHERE slot = (\$1|s\.n) ORDER BY`)

// explain requires that no plan of the recorded statements scans a large table.
func explain(t *testing.T, address string, w *recorder) {
	t.Helper()
	ctx := t.Context()
	c, err := pgx.Connect(ctx, address)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close(context.WithoutCancel(ctx))) }()
	_, err = c.Exec(ctx, `SET plan_cache_mode = force_generic_plan`)
	require.NoError(t, err)
	explained := 0
	for statement, sent := range w.sent {
		named := func(table string) bool { return strings.Contains(statement, table) }
		if readsAll.MatchString(statement) || !slices.ContainsFunc(largeTables, named) {
			continue
		}
		explained++
		plan := c.PgConn().ExecParams(ctx, `EXPLAIN (FORMAT JSON) `+statement, sent.values, nil, sent.formats, nil).Read()
		require.NoError(t, plan.Err, statement)
		requireIndexes(t, plan.Rows[0][0], statement)

		_, err = c.Exec(ctx, `PREPARE it AS `+statement, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err, statement)
		nulls := strings.TrimSuffix(strings.Repeat("NULL, ", parameters(statement)), ", ")
		if nulls != "" {
			nulls = "(" + nulls + ")"
		}
		var generic []byte
		err = c.QueryRow(ctx, `EXPLAIN (FORMAT JSON) EXECUTE it`+nulls, pgx.QueryExecModeSimpleProtocol).Scan(&generic)
		require.NoError(t, err, statement)
		requireIndexes(t, generic, "generic: "+statement)
		_, err = c.Exec(ctx, `DEALLOCATE it`)
		require.NoError(t, err)
	}
	require.Greater(t, explained, 25)
}

// parameters returns the number of parameters of a statement.
func parameters(statement string) (most int) {
	for _, p := range regexp.MustCompile(`\$(\d+)`).FindAllStringSubmatch(statement, -1) {
		n, _ := strconv.Atoi(p[1])
		most = max(most, n)
	}
	return most
}

// planned is a node of a query plan.
type planned struct {
	Type  string    `json:"Node Type"`
	Table string    `json:"Relation Name"`
	Plans []planned `json:"Plans"`
}

func requireIndexes(t *testing.T, plan []byte, statement string) {
	t.Helper()
	var roots []struct{ Plan planned }
	require.NoError(t, json.Unmarshal(plan, &roots))
	nodes := []planned{roots[0].Plan}
	for len(nodes) > 0 {
		n := nodes[0]
		nodes = append(nodes[1:], n.Plans...)
		assert.False(t, n.Type == "Seq Scan" && slices.Contains(largeTables, n.Table),
			"sequential scan of %s:\n%s\n%s", n.Table, statement, plan)
	}
}
