package pgstore_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// lock runs a statement in a transaction of another session, and returns a function that ends it.
func lock(t *testing.T, address, statement string) (unlock func()) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	other, err := pgx.Connect(ctx, address)
	require.NoError(t, err)
	_, err = other.Exec(ctx, `BEGIN`)
	require.NoError(t, err)
	_, err = other.Exec(ctx, statement)
	require.NoError(t, err)
	unlock = sync.OnceFunc(func() { require.NoError(t, other.Close(ctx)) })
	t.Cleanup(unlock)
	return unlock
}

// recordMany starts recording a new report in each of several batches and a quarantined callback. It returns a
// function that waits for them.
func recordMany(t *testing.T, s *pgstore.Store, digits int) (wait func()) {
	var recording sync.WaitGroup
	arrivals := []store.Arrival{arrives(store.Quarantined{Reason: dlr.NotJSON, Raw: []byte("{")})}
	for i := range 8 {
		arrivals = append(arrivals, delivered("batch "+number(i), number(digits)))
	}
	for _, a := range arrivals {
		recording.Go(func() { _ = s.Record(context.WithoutCancel(t.Context()), a) })
	}
	return recording.Wait
}

func TestReadyFailsWhileCommitsBlock(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"batches locked":     `LOCK TABLE batch IN ACCESS EXCLUSIVE MODE`,
		"recipients locked":  `LOCK TABLE recipient IN SHARE MODE`,
		"reports locked":     `LOCK TABLE report_log IN ACCESS EXCLUSIVE MODE`,
		"minutes locked":     `LOCK TABLE minute_count IN EXCLUSIVE MODE`,
		"totals locked":      `LOCK TABLE total IN SHARE ROW EXCLUSIVE MODE`,
		"message totals":     `LOCK TABLE message_total IN ACCESS EXCLUSIVE MODE`,
		"quarantine locked":  `LOCK TABLE quarantine IN ACCESS EXCLUSIVE MODE`,
		"rows of the totals": `SELECT FROM total FOR UPDATE`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := postgres.Database(t)
			s := newStore(t, pgstore.Config{URL: address, StatementTimeout: time.Hour})
			recordMany(t, s, 1)()
			require.NoError(t, s.Ready(t.Context()))
			unlock := lock(t, address, statement)
			wait := recordMany(t, s, 2)
			ready := func() bool { return s.Ready(context.WithoutCancel(t.Context())) == nil }
			require.Eventually(t, func() bool { return !ready() }, timeout, 10*time.Millisecond)
			unlock()
			wait()
			require.Eventually(t, ready, timeout, 10*time.Millisecond)
			for _, table := range planTables {
				require.Zero(t, queryOne[int](t, address, `SELECT count(*) FROM `+table+` WHERE plan = ''`), table)
			}
		})
	}
}

// TestReadyFailsWhileCommitsFail makes the database refuse commits. When that ends the store must become ready
// without another arrival, because a load balancer sends none to a store that is not ready.
func TestReadyFailsWhileCommitsFail(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]struct{ fault, mend string }{
		"a table renamed":  {`ALTER TABLE recipient RENAME TO hidden`, `ALTER TABLE hidden RENAME TO recipient`},
		"a column renamed": {`ALTER TABLE report_log RENAME raw TO bytes`, `ALTER TABLE report_log RENAME bytes TO raw`},
		"no right": {
			`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING ERRCODE = '42501'; END $$;
			CREATE TRIGGER refuse BEFORE INSERT ON minute_count FOR EACH ROW EXECUTE FUNCTION refuse()`,
			`DROP TRIGGER refuse ON minute_count`,
		},
		"no disk": {
			`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING ERRCODE = '53100'; END $$;
			CREATE TRIGGER refuse BEFORE INSERT ON report_log FOR EACH ROW EXECUTE FUNCTION refuse()`,
			`DROP TRIGGER refuse ON report_log`,
		},
	} {
		for _, d := range []pgstore.Dialect{pgstore.Postgres, pgstore.Portable} {
			t.Run(name+", "+string(d), func(t *testing.T) {
				t.Parallel()
				address := postgres.Database(t)
				s := newStore(t, pgstore.Config{URL: address, Dialect: d})
				require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
				execute(t, address, do.fault)
				require.Error(t, s.Record(t.Context(), delivered("batch", number(2))))
				require.ErrorContains(t, s.Ready(t.Context()), "trial commit")
				before := queryOne[int](t, address, `SELECT sum(recipients)::int FROM total`)
				execute(t, address, do.mend)
				require.Eventually(t, func() bool {
					return s.Ready(context.WithoutCancel(t.Context())) == nil
				}, timeout, 10*time.Millisecond)
				require.Equal(t, before, queryOne[int](t, address, `SELECT sum(recipients)::int FROM total`))
				require.NoError(t, s.Record(t.Context(), delivered("batch", number(2))))
			})
		}
	}
}

// TestReadyDespiteOneLockedBatch checks that the store stays ready while commits of other batches succeed.
func TestReadyDespiteOneLockedBatch(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	s := newStore(t, pgstore.Config{URL: address, StatementTimeout: 5 * time.Second})
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
	unlock := lock(t, address, `SELECT FROM batch FOR UPDATE`)
	defer unlock()
	failed := make(chan error, 1)
	go func() { failed <- s.Record(context.WithoutCancel(t.Context()), delivered("batch", number(2))) }()
	for waiting := true; waiting; {
		require.NoError(t, s.Ready(t.Context()))
		select {
		case err := <-failed:
			require.ErrorContains(t, err, "57014")
			waiting = false
		default:
		}
	}
	require.NoError(t, s.Ready(t.Context()))
}
