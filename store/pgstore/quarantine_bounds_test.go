package pgstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// TestRecordDoesNotWaitForEviction locks the entries to evict. Meanwhile all lanes must answer.
func TestRecordDoesNotWaitForEviction(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	var observed failureLog
	s := newStore(t, pgstore.Config{
		URL: address, QuarantineEntries: 1, StatementTimeout: time.Hour, Observer: observed.observer(),
	})
	suspect := func(i int) store.Arrival {
		a := arrives(store.Quarantined{Reason: dlr.NotJSON, Raw: []byte("{")})
		a.At = epoch.Add(time.Duration(i) * time.Second)
		return a
	}
	require.NoError(t, s.Record(t.Context(), suspect(0)))
	other, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close(context.WithoutCancel(t.Context()))) }()
	tx, err := other.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SELECT FROM quarantine FOR UPDATE`)
	require.NoError(t, err)

	const entries = `SELECT count(*) FROM quarantine`
	const waiting = `SELECT coalesce(max(query_start)::text, '') FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%DELETE FROM quarantine%'`
	require.NoError(t, s.Record(t.Context(), suspect(1)))
	var since string
	require.Eventually(t, func() bool {
		since = queryOne[string](t, address, waiting)
		return since != ""
	}, timeout, 10*time.Millisecond)
	for i := range 8 {
		require.NoError(t, s.Record(t.Context(), suspect(2+i)))
		require.NoError(t, s.Record(t.Context(), delivered("batch", number(i))))
	}
	require.Equal(t, since, queryOne[string](t, address, waiting), "the eviction ended before the answers")
	require.Equal(t, 10, queryOne[int](t, address, entries))
	require.NoError(t, tx.Rollback(t.Context()))
	require.Eventually(t, func() bool { return queryOne[int](t, address, entries) == 1 }, timeout, 10*time.Millisecond)
	require.Empty(t, observed.all("expire"))
}

// TestOverfullQuarantineIsEvictedInSteps opens a store on a quarantine with many more entries than allowed.
func TestOverfullQuarantineIsEvictedInSteps(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	execute(t, address, `INSERT INTO quarantine (slot, received_at, id, plan, reason, type, size, raw)
		SELECT 3, timestamptz '2026-03-01' + n * interval '1 second', n, 'plan', 'not_json', '', 1, 'x' FROM generate_series(1, 10000) n`)
	execute(t, address, `CREATE SEQUENCE most`)
	execute(t, address, `CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		PERFORM setval('most', greatest((SELECT last_value FROM most), (SELECT count(*) FROM gone))); RETURN NULL; END $$`)
	execute(t, address, `CREATE TRIGGER note AFTER DELETE ON quarantine
		REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION note()`)
	newStore(t, pgstore.Config{URL: address, QuarantineEntries: 32})
	require.Eventually(t, func() bool {
		return queryOne[int](t, address, `SELECT count(*) FROM quarantine`) == 30
	}, timeout, 10*time.Millisecond)
	require.Equal(t, "10000", queryOne[string](t, address, `SELECT max(id::int)::text FROM quarantine`))
	require.LessOrEqual(t, queryOne[int](t, address, `SELECT last_value::int FROM most`), 1001)
}
