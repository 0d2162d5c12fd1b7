package pgstore_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
)

const timeout = time.Minute

// load records reports from several goroutines until end is called. Each report has a number of its own.
type load struct {
	stop  chan struct{}
	done  sync.WaitGroup
	begun atomic.Int64

	mu       sync.Mutex
	recorded []int // numbers whose Record returned nil; guarded by mu
	err      error // the last error of Record; guarded by mu
}

func newLoad(t *testing.T, s *pgstore.Store, goroutines int) *load {
	l := &load{stop: make(chan struct{})}
	for range goroutines {
		l.done.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				n := int(l.begun.Add(1))
				err := s.Record(context.WithoutCancel(t.Context()), delivered(fmt.Sprint("batch", n%7), number(n)))
				l.mu.Lock()
				if l.err = err; err == nil {
					l.recorded = append(l.recorded, n)
				}
				l.mu.Unlock()
			}
		})
	}
	return l
}

// waitRecorded blocks until that many more reports are recorded.
func (l *load) waitRecorded(t *testing.T, more int) {
	t.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.recorded)
	}
	want := count() + more
	require.Eventually(t, func() bool { return count() >= want }, timeout, 10*time.Millisecond)
}

func (l *load) end() []int {
	close(l.stop)
	l.done.Wait()
	return l.recorded
}

// requireKept requires that all these reports are stored.
func requireKept(t *testing.T, s *pgstore.Store, numbers []int) {
	t.Helper()
	for _, n := range numbers {
		r, err := s.Recipient(t.Context(), key(fmt.Sprint("batch", n%7)), number(n))
		require.NoError(t, err)
		require.Equal(t, store.FeedbackOwed, r.Feedback)
	}
}

func TestServerCrashesUnderLoad(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Config{Durable: true})
	s := newStore(t, pgstore.Config{URL: server.Database(t)})
	l := newLoad(t, s, 8)
	for range 3 {
		l.waitRecorded(t, 50)
		server.Kill(t)
		server.Restart(t)
	}
	l.waitRecorded(t, 50)
	requireKept(t, s, l.end())
	require.NoError(t, s.Ready(t.Context()))
}

// TestTerminatedSessions terminates all sessions repeatedly, like an administrator. Record must return no error and
// count nothing twice.
func TestTerminatedSessions(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	var observed foldedStats
	s := newStore(t, pgstore.Config{URL: address, Observer: observed.observer()})
	l := newLoad(t, s, 8)
	for range 10 {
		l.waitRecorded(t, 20)
		execute(t, address, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	}
	recorded := l.end()
	require.Len(t, recorded, int(l.begun.Load()), "some reports were refused")
	requireKept(t, s, recorded)
	require.Equal(t, len(recorded), observed.requireEqualStats(t, s).Recipients)
}

func TestServerHangs(t *testing.T) {
	t.Parallel()
	p, address := newProxy(t, postgres.Database(t))
	s := newStore(t, pgstore.Config{URL: address, StatementTimeout: time.Second})
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
	p.freeze()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	require.Error(t, s.Record(ctx, delivered("batch", number(2))))
	require.Error(t, s.Ready(ctx))
	require.NoError(t, ctx.Err(), "Record and Ready must fail before the context ends")
	p.thaw()
	require.Eventually(t, func() bool { return s.Ready(t.Context()) == nil }, timeout, 10*time.Millisecond)
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(2))))
}

// TestReconnectsAreLimited floods a store whose server closes every connection, and counts the attempts to connect.
func TestReconnectsAreLimited(t *testing.T) {
	t.Parallel()
	const lanes, pool = 4, 6
	p, address := newProxy(t, postgres.Database(t))
	var failed atomic.Int64
	countFailedCommits := store.Observer{Failed: func(operation string, _ error) {
		if operation == "commit" {
			failed.Add(1)
		}
	}}
	s := newStore(t, pgstore.Config{URL: address, Lanes: lanes, PoolSize: pool, Observer: countFailedCommits})
	l := newLoad(t, s, 64)
	l.waitRecorded(t, 100)

	p.refuse(true)
	begin, before := time.Now(), p.connections()
	require.Eventually(t, func() bool {
		return time.Since(begin) > 4*time.Second && failed.Load() > 0
	}, timeout, 10*time.Millisecond)
	attempts, took := p.connections()-before, time.Since(begin)
	// the lost connections, and the attempts that fit into the time if every delay is as short as possible
	most := 1 + pool
	for pause := 25 * time.Millisecond; took > 0; pause = min(2*pause, time.Second) {
		took -= pause
		most++
	}
	require.LessOrEqual(t, attempts, most)
	require.LessOrEqual(t, failed.Load(), int64(lanes*most), "each failed group must have waited for an attempt")

	p.refuse(false)
	l.waitRecorded(t, 100)
	requireKept(t, s, l.end())
}

// refuse makes the database refuse the given number of inserts into report_log with an SQLSTATE. A rollback does not
// reset the count.
func refuse(t *testing.T, address, sqlstate string, times int) {
	t.Helper()
	execute(t, address, `CREATE SEQUENCE refused`)
	execute(t, address, fmt.Sprintf(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF nextval('refused') <= %d THEN RAISE EXCEPTION 'forced' USING ERRCODE = '%s'; END IF;
		RETURN NEW; END $$`, times, sqlstate))
	execute(t, address, `CREATE TRIGGER refuse BEFORE INSERT ON report_log FOR EACH ROW EXECUTE FUNCTION refuse()`)
}

func TestRolledBackCommitIsRetried(t *testing.T) {
	t.Parallel()
	for _, sqlstate := range []string{"40001", "40P01", "25006"} {
		t.Run(sqlstate, func(t *testing.T) {
			address := postgres.Database(t)
			refuse(t, address, sqlstate, 3)
			var observed foldedStats
			s := newStore(t, pgstore.Config{URL: address, Observer: observed.observer()})
			require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
			require.Equal(t, 4, queryOne[int](t, address, `SELECT last_value::int FROM refused`))
			require.Equal(t, 1, observed.requireEqualStats(t, s).Recipients)
		})
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	refuse(t, address, "53100", 1_000_000)
	s := newStore(t, pgstore.Config{URL: address, Lanes: 1})
	begin := time.Now()
	for i := range 6 {
		require.ErrorContains(t, s.Record(t.Context(), delivered("batch", number(i))), "53100")
	}
	require.GreaterOrEqual(t, time.Since(begin), (25+50+100+200+400)*time.Millisecond, "failing groups must be delayed")
	execute(t, address, `DROP TRIGGER refuse ON report_log`)
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(0))))
}

// TestDeadlock lets another session lock the rows of a commit in the opposite order.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	s := newStore(t, pgstore.Config{URL: address + "&deadlock_timeout=5000&statement_timeout=0"})
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
	other, err := pgx.Connect(t.Context(), address+"&deadlock_timeout=3600000")
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close(context.WithoutCancel(t.Context()))) }()
	tx, err := other.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SELECT FROM total FOR UPDATE`)
	require.NoError(t, err)

	var g errgroup.Group
	g.Go(func() error { return s.Record(t.Context(), delivered("batch", number(2))) })
	require.Eventually(t, func() bool {
		return queryOne[bool](t, address, `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND application_name LIKE 'dlrloop%' AND wait_event_type = 'Lock')`)
	}, timeout, 10*time.Millisecond)
	_, err = tx.Exec(t.Context(), `SELECT FROM batch FOR UPDATE`)
	require.NoError(t, err, "the server must resolve the deadlock by aborting the store's transaction")
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, g.Wait())
	require.Positive(t, queryOne[int](t, address,
		`SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()`))
}

// TestStatementTimeout locks a row for longer than the store waits for it.
func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	for name, c := range map[string]pgstore.Config{
		"configured": {URL: address, StatementTimeout: 2 * time.Second},
		"in the URL": {URL: address + "&statement_timeout=200"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, c)
			require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
			other, err := pgx.Connect(t.Context(), address)
			require.NoError(t, err)
			defer func() { require.NoError(t, other.Close(context.WithoutCancel(t.Context()))) }()
			tx, err := other.Begin(t.Context())
			require.NoError(t, err)
			_, err = tx.Exec(t.Context(), `SELECT FROM batch FOR UPDATE`)
			require.NoError(t, err)
			require.ErrorContains(t, s.Record(t.Context(), delivered("batch", number(2))), "57014")
			require.NoError(t, tx.Rollback(t.Context()))
			require.NoError(t, s.Record(t.Context(), delivered("batch", number(2))))
		})
	}
}
