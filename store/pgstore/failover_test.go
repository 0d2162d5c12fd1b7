package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
)

// setWritable makes a server accept or refuse writes.
func setWritable(t *testing.T, address string, writes bool) {
	t.Helper()
	value := "on"
	if writes {
		value = "off"
	}
	execute(t, address, `ALTER SYSTEM SET default_transaction_read_only = `+value)
	execute(t, address, `SELECT pg_reload_conf()`)
	require.Eventually(t, func() bool {
		return queryOne[string](t, address, `SHOW default_transaction_read_only`) == value
	}, timeout, 10*time.Millisecond)
}

// TestFailoverToSecondHost makes the first of two hosts read-only, and then the second one writable.
func TestFailoverToSecondHost(t *testing.T) {
	t.Parallel()
	var hosts, ports, addresses []string
	for range 2 {
		u, err := url.Parse(pgtest.Start(t, pgtest.Config{}).Database(t))
		require.NoError(t, err)
		hosts, ports = append(hosts, u.Query().Get("host")), append(ports, u.Query().Get("port"))
		u.Path = "/postgres"
		addresses = append(addresses, u.String())
		_, _, err = pgstore.Migrate(t.Context(), pgstore.Config{URL: u.String()}, false)
		require.NoError(t, err)
	}
	both, err := url.Parse(addresses[0])
	require.NoError(t, err)
	both.RawQuery = url.Values{
		"host": {strings.Join(hosts, ",")}, "port": {strings.Join(ports, ",")}, "sslmode": {"disable"},
	}.Encode()

	setWritable(t, addresses[1], false)
	// with more connections, one might already be to the other server
	s := newStore(t, pgstore.Config{URL: both.String(), PoolSize: 1})
	require.NoError(t, s.Record(t.Context(), delivered("before", number(1))))
	setWritable(t, addresses[0], false)
	require.Eventually(t, func() bool { return s.Ready(t.Context()) != nil }, timeout, 10*time.Millisecond)
	require.ErrorContains(t, s.Record(t.Context(), delivered("between", number(1))), "read-only")
	setWritable(t, addresses[1], true)
	require.Eventually(t, func() bool { return s.Ready(t.Context()) == nil }, timeout, 10*time.Millisecond)
	require.NoError(t, s.Record(t.Context(), delivered("after", number(1))))

	require.Equal(t, "before", queryOne[string](t, addresses[0], `SELECT string_agg(batch_id, ',') FROM batch`))
	require.Equal(t, "after", queryOne[string](t, addresses[1], `SELECT string_agg(batch_id, ',') FROM batch`))
}

// TestOneFailedSessionResetsPool makes one of several sessions fail in a way that shows that its server must not be
// used any more. All others must be closed too, whatever the session was doing.
func TestOneFailedSessionResetsPool(t *testing.T) {
	t.Parallel()
	const (
		readOnly = `IF nextval('met') <= %d THEN RAISE EXCEPTION 'forced' USING ERRCODE = '25006'; END IF`
		ended    = `IF nextval('met') <= %d THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF`
	)
	for name, c := range map[string]struct {
		table, fault string
		times        int
	}{
		"a commit, read-only":    {"report_log", readOnly, 1},
		"a commit, ended":        {"report_log", ended, 1},
		"a heartbeat, read-only": {"replica", readOnly, 1_000_000}, // some failures are ignored
	} {
		t.Run(name, func(t *testing.T) {
			address := postgres.Database(t)
			s := newStore(t, pgstore.Config{URL: address})
			before := openSessions(t, s, address, 4)
			execute(t, address, `CREATE SEQUENCE met`)
			execute(t, address, `CREATE FUNCTION meet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN `+
				fmt.Sprintf(c.fault, c.times)+`; RETURN NEW; END $$`)
			execute(t, address, `CREATE TRIGGER meet BEFORE INSERT OR UPDATE ON `+c.table+
				` FOR EACH ROW EXECUTE FUNCTION meet()`)
			require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
			require.Eventually(t, func() bool {
				return queryOne[int](t, address, `SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1)`, before) == 0
			}, timeout, 10*time.Millisecond)
			require.NoError(t, s.Record(t.Context(), delivered("batch", number(2))))
		})
	}
}

// openSessions makes the store open at least least sessions and returns the process ids of all its sessions.
func openSessions(t *testing.T, s *pgstore.Store, address string, least int) (pids []int32) {
	t.Helper()
	const ours = ` FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'dlrloop%'`
	other, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close(context.WithoutCancel(t.Context()))) }()
	tx, err := other.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `LOCK TABLE recipient`)
	require.NoError(t, err)
	var g errgroup.Group
	for range least {
		g.Go(func() error {
			if _, err := s.Recipient(t.Context(), key("none"), number(1)); !errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("found: %w", err)
			}
			return nil
		})
	}
	require.Eventually(t, func() bool {
		return queryOne[int](t, address, `SELECT count(*)`+ours+` AND wait_event_type = 'Lock'`) >= least
	}, timeout, 10*time.Millisecond)
	pids = queryOne[[]int32](t, address, `SELECT array_agg(pid)`+ours)
	require.NoError(t, tx.Rollback(t.Context()))
	require.NoError(t, g.Wait())
	return pids
}

// TestWrongPassword checks that the error names the cause and does not contain the password.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "dlrloop-hba-") // PostgreSQL runs as another user, which cannot read t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	rules := filepath.Join(dir, "pg_hba.conf")
	require.NoError(t, os.WriteFile(rules, []byte("local all postgres trust\nlocal all all scram-sha-256\n"), 0o644))
	address := pgtest.Start(t, pgtest.Config{Settings: map[string]string{"hba_file": rules}}).Database(t)
	newStore(t, pgstore.Config{URL: address})
	right := newRole(t, address, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public`)
	newStore(t, pgstore.Config{URL: right})
	_, err = pgstore.Open(t.Context(), pgstore.Config{URL: strings.Replace(right, ":secret@", ":mistaken@", 1)})
	require.ErrorContains(t, err, "password authentication failed")
	require.ErrorContains(t, err, "28P01")
	require.NotContains(t, err.Error(), "mistaken")
}

// TestRoleWithConnectionLimit uses a role that may have fewer connections than the pool. Queued groups must share
// them.
func TestRoleWithConnectionLimit(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	limited := newRole(t, address, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public`)
	u, err := url.Parse(limited)
	require.NoError(t, err)
	execute(t, address, fmt.Sprintf(`ALTER ROLE %s CONNECTION LIMIT 2`, u.User.Username()))
	s := newStore(t, pgstore.Config{URL: limited})
	l := newLoad(t, s, 16)
	l.waitRecorded(t, 200)
	requireKept(t, s, l.end())
}

// TestQueryExecModes uses the store in each query execution mode of pgx. Some poolers do not allow prepared
// statements.
func TestQueryExecModes(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			s := newStore(t, pgstore.Config{URL: postgres.Database(t) + "&default_query_exec_mode=" + mode})
			useAll(t, s)
		})
	}
}

// TestUnknownCommitIsRunAgain loses the answers of commits. Record must succeed, and change as much as without the
// fault. A repeat must change nothing more.
func TestUnknownCommitIsRunAgain(t *testing.T) {
	t.Parallel()
	for _, d := range []pgstore.Dialect{pgstore.Postgres, pgstore.Portable} {
		t.Run(string(d), func(t *testing.T) {
			p, address := newProxy(t, postgres.Database(t))
			var observed foldedStats
			faulty := newStore(t, pgstore.Config{
				URL: address + steady, Lanes: 1, Dialect: d, Observer: observed.observer(),
			})
			sound := newStore(t, pgstore.Config{URL: postgres.Database(t), Dialect: d})
			for _, entry := range everyKind {
				n := arrives(entry(t, sound))
				t.Logf("%T", n.Entry)
				require.NoError(t, sound.Record(t.Context(), n))
				n = arrives(entry(t, faulty))
				p.loseAnswer()
				require.NoError(t, faulty.Record(t.Context(), n))
				require.Equal(t, totalsOf(t, sound), totalsOf(t, faulty))
				require.NoError(t, faulty.Record(t.Context(), n))
				require.Equal(t, totalsOf(t, sound), totalsOf(t, faulty))
			}
			require.Equal(t, 2, totalsOf(t, faulty).Feedback.Sent)
			observed.requireEqualStats(t, faulty)
		})
	}
}

// everyKind makes arrivals of every kind for one batch.
var everyKind = []func(*testing.T, *pgstore.Store) store.Entry{
	func(*testing.T, *pgstore.Store) store.Entry { return delivered("batch", number(1)).Entry },
	func(*testing.T, *pgstore.Store) store.Entry { return delivered("batch", number(2)).Entry },
	settlementOf(store.OutcomeDead),
	func(*testing.T, *pgstore.Store) store.Entry {
		return store.Requeue{BatchID: "batch", Recipients: []string{number(1), number(2)}}
	},
	settlementOf(store.OutcomeAccepted),
	func(*testing.T, *pgstore.Store) store.Entry {
		return store.BatchInfo{BatchID: "batch", FeedbackEnabled: true, Numbers: []string{number(4), number(5)}}
	},
	func(*testing.T, *pgstore.Store) store.Entry {
		return store.Confirmation{BatchID: "batch", Recipients: []string{number(9)}}
	},
}

// settlementOf claims the task of the batch and returns its settlement.
func settlementOf(outcome store.Outcome) func(*testing.T, *pgstore.Store) store.Entry {
	return func(t *testing.T, s *pgstore.Store) store.Entry {
		claims, err := s.Claim(t.Context(), "plan", epoch.Add(24*time.Hour), 1, 1)
		require.NoError(t, err)
		require.Len(t, claims, 1)
		require.Equal(t, []string{number(1), number(2)}, claims[0].Recipients)
		return store.Settlement{
			BatchID: "batch", Lease: claims[0].Lease, Recipients: claims[0].Recipients, Outcome: outcome,
		}
	}
}

// totalsOf returns the totals without the duplicates. It retries, because a read may get a connection that was cut
// while idle.
func totalsOf(t *testing.T, s *pgstore.Store) store.PlanStats {
	t.Helper()
	var stats []store.PlanStats
	require.Eventually(t, func() (read bool) {
		var err error
		stats, err = s.Stats(context.WithoutCancel(t.Context()))
		return err == nil
	}, timeout, 10*time.Millisecond)
	require.Len(t, stats, 1)
	stats[0].Duplicates = 0
	return stats[0]
}
