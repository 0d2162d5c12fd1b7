package pgstore_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
)

// writable has a server take writes, or not any more.
func writable(t *testing.T, address string, writes bool) {
	t.Helper()
	value := "on"
	if writes {
		value = "off"
	}
	execute(t, address, `ALTER SYSTEM SET default_transaction_read_only = `+value)
	execute(t, address, `SELECT pg_reload_conf()`)
	require.Eventually(t, func() bool { return ask[string](t, address, `SHOW default_transaction_read_only`) == value }, patience, 1)
}

// TestAnotherServerTakesOver has the first of two hosts stop taking writes, and the second begin to.
func TestAnotherServerTakesOver(t *testing.T) {
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
	both.RawQuery = url.Values{"host": {strings.Join(hosts, ",")}, "port": {strings.Join(ports, ",")}, "sslmode": {"disable"}}.Encode()

	writable(t, addresses[1], false)
	s := newStore(t, pgstore.Config{URL: both.String()})
	require.NoError(t, s.Record(t.Context(), delivered("before", number(1))))
	writable(t, addresses[0], false)
	require.Eventually(t, func() bool { return s.Ready(t.Context()) != nil }, patience, 1)
	require.ErrorContains(t, s.Record(t.Context(), delivered("between", number(1))), "read-only")
	writable(t, addresses[1], true)
	require.Eventually(t, func() bool { return s.Ready(t.Context()) == nil }, patience, 1)
	require.NoError(t, s.Record(t.Context(), delivered("after", number(1))))

	require.Equal(t, "before", ask[string](t, addresses[0], `SELECT string_agg(batch_id, ',') FROM batch`))
	require.Equal(t, "after", ask[string](t, addresses[1], `SELECT string_agg(batch_id, ',') FROM batch`))
}

// TestAPasswordThatIsWrong is refused with a clear error that does not have it.
func TestAPasswordThatIsWrong(t *testing.T) {
	folder, err := os.MkdirTemp("", "dlrloop-hba-") // PostgreSQL runs as another user, who may not read t.TempDir
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	require.NoError(t, os.Chmod(folder, 0o755))
	rules := filepath.Join(folder, "pg_hba.conf")
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

// TestTooManyConnections has a role that may have fewer than the pool. What waits is taken in turn.
func TestTooManyConnections(t *testing.T) {
	address := postgres.Database(t)
	limited := newRole(t, address, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public`)
	u, err := url.Parse(limited)
	require.NoError(t, err)
	execute(t, address, fmt.Sprintf(`ALTER ROLE %s CONNECTION LIMIT 2`, u.User.Username()))
	s := newStore(t, pgstore.Config{URL: limited})
	l := newLoad(t, s, 16)
	l.waitTaken(t, 200)
	requireKept(t, s, l.end())
}

// TestEveryWayToRunStatements does everything in each of the ways that pgx has, for poolers that do not allow prepared statements.
func TestEveryWayToRunStatements(t *testing.T) {
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			s := newStore(t, pgstore.Config{URL: postgres.Database(t) + "&default_query_exec_mode=" + mode})
			useAll(t, s)
		})
	}
}

// TestACommitThatIsNotFoundOut has an unknown outcome where it cannot be asked for. What is repeated then changes nothing.
func TestACommitThatIsNotFoundOut(t *testing.T) {
	p, address := newProxy(t, postgres.Database(t))
	s := newStore(t, pgstore.Config{URL: address + steady, Lanes: 1, Dialect: pgstore.Portable})
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(2))))
	lease := func() string {
		claims, err := s.Claim(t.Context(), "plan", epoch.Add(24*60*60*1e9), 1, 1)
		require.NoError(t, err)
		require.Len(t, claims, 1)
		return claims[0].Lease
	}
	both := []string{number(1), number(2)}
	for _, news := range []func() store.News{
		func() store.News { return delivered("batch", number(3)).News },
		func() store.News {
			return store.Facts{BatchID: "batch", FeedbackEnabled: true, Numbers: []string{number(4), number(5)}}
		},
		func() store.News { return store.Confirmation{BatchID: "batch", Recipients: []string{number(9)}} },
		func() store.News {
			return store.Settlement{BatchID: "batch", Lease: lease(), Recipients: both, Outcome: store.Buried}
		},
		func() store.News { return store.Requeue{BatchID: "batch", Recipients: both} },
		func() store.News {
			return store.Settlement{BatchID: "batch", Lease: lease(), Recipients: both, Outcome: store.Accepted}
		},
	} {
		n := arrives(news())
		t.Logf("%T", n.News)
		p.loseAnswer()
		require.ErrorContains(t, s.Record(t.Context(), n), "no answer to the commit")
		done := state(t, s)
		require.NoError(t, s.Record(t.Context(), n))
		require.Equal(t, done, state(t, s))
	}
	require.Equal(t, 2, state(t, s).Feedback.Sent)
}

// state is the totals but for the repeats, which are counted.
func state(t *testing.T, s *pgstore.Store) store.PlanStats {
	t.Helper()
	stats, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.Len(t, stats, 1)
	stats[0].Duplicates = 0
	return stats[0]
}
