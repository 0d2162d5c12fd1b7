package pgstore_test

import (
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// newEmpty returns the URL of a database without a dlrloop schema.
func newEmpty(t *testing.T) string {
	t.Helper()
	address := postgres.Database(t)
	execute(t, address, `DROP SCHEMA public CASCADE; CREATE SCHEMA public`)
	return address
}

// newVersion returns the schema version that this program creates.
func newVersion(t *testing.T, address string) int64 {
	t.Helper()
	return queryOne[int64](t, address, `SELECT max(version_id) FROM goose_db_version`)
}

func TestMigrateTwice(t *testing.T) {
	t.Parallel()
	address := newEmpty(t)
	from, to, err := pgstore.Migrate(t.Context(), pgstore.Config{URL: address, Slots: 7, NoMigrate: true}, false)
	require.NoError(t, err)
	require.Zero(t, from)
	require.Equal(t, newVersion(t, address), to)
	require.Equal(t, 7, queryOne[int](t, address, `SELECT slots FROM meta`))

	again, still, err := pgstore.Migrate(t.Context(), pgstore.Config{URL: address, Slots: 9}, false)
	require.NoError(t, err)
	require.Equal(t, []int64{to, to}, []int64{again, still})
	require.Equal(t, 7, queryOne[int](t, address, `SELECT slots FROM meta`))
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	execute(t, address, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	for _, c := range []pgstore.Config{{URL: address}, {URL: address, NoMigrate: true}} {
		_, err := pgstore.Open(t.Context(), c)
		require.ErrorContains(t, err, "the database has schema version 9999")
		require.ErrorContains(t, err, "run the newer dlrloop")
	}
	from, to, err := pgstore.Migrate(t.Context(), pgstore.Config{URL: address}, false)
	require.ErrorContains(t, err, "run the newer dlrloop")
	require.Equal(t, []int64{9999, 9999}, []int64{from, to})
}

func TestNoMigrateRefusesOlderSchema(t *testing.T) {
	t.Parallel()
	address := newEmpty(t)
	_, err := pgstore.Open(t.Context(), pgstore.Config{URL: address, NoMigrate: true})
	require.ErrorContains(t, err, "the database has schema version 0")
	require.ErrorContains(t, err, "run `dlrloop migrate`")
	require.Zero(t, queryOne[int](t, address, `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`))

	_, _, err = pgstore.Migrate(t.Context(), pgstore.Config{URL: address}, false)
	require.NoError(t, err)
	newStore(t, pgstore.Config{URL: address, NoMigrate: true})
}

// TestFailedMigrationChangesNothing makes the last table of the first version exist already.
func TestFailedMigrationChangesNothing(t *testing.T) {
	t.Parallel()
	address := newEmpty(t)
	execute(t, address, `CREATE TABLE quarantine (notes text)`)
	from, to, err := pgstore.Migrate(t.Context(), pgstore.Config{URL: address}, false)
	require.ErrorContains(t, err, "change the schema from version 0 to ")
	require.ErrorContains(t, err, `"quarantine" already exists`)
	require.Equal(t, []int64{0, 0}, []int64{from, to})
	require.Equal(t, "quarantine", queryOne[string](t, address,
		`SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'goose%'`))

	execute(t, address, `DROP TABLE quarantine`)
	newStore(t, pgstore.Config{URL: address}) // the migration lock was released
}

// TestMigrationLockOfKilledProcessExpires starts with the migration lock of a process that was killed.
func TestMigrationLockOfKilledProcessExpires(t *testing.T) {
	t.Parallel()
	address := newEmpty(t)
	execute(t, address, `CREATE TABLE goose_lock (lock_id bigint PRIMARY KEY, locked boolean NOT NULL, locked_at timestamptz, locked_by text,
		lease_expires_at timestamptz, updated_at timestamptz)`)
	execute(t, address, `INSERT INTO goose_lock VALUES (4097083626, true, now(), 'killed', now() + '2 seconds', now())`)
	until := queryOne[time.Time](t, address, `SELECT lease_expires_at FROM goose_lock`)
	newStore(t, pgstore.Config{URL: address})
	require.True(t, queryOne[bool](t, address, `SELECT now() >= $1`, until))
	require.False(t, queryOne[bool](t, address, `SELECT locked FROM goose_lock`))
}

// newRole creates a role with these rights only, and returns the URL for it.
func newRole(t *testing.T, address string, grants ...string) string {
	t.Helper()
	role := "dlrloop_test_" + strings.ToLower(rand.Text())
	execute(t, address, `CREATE ROLE `+role+` LOGIN PASSWORD 'secret'`)
	t.Cleanup(func() { execute(t, address, `DROP OWNED BY `+role+`; DROP ROLE `+role) })
	for _, grant := range grants {
		execute(t, address, grant+` TO `+role)
	}
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	parsed.User = url.UserPassword(role, "secret")
	return parsed.String()
}

func TestRoleWithoutSchemaRights(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	execute(t, address, `REVOKE CREATE ON SCHEMA public FROM PUBLIC`)
	limited := newRole(t, address, `GRANT USAGE ON SCHEMA public`,
		`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public`)
	for _, noMigrate := range []bool{true, false} {
		s, err := pgstore.Open(t.Context(), pgstore.Config{URL: limited, NoMigrate: noMigrate})
		require.NoError(t, err)
		useAll(t, s)
		require.NoError(t, s.Close())
	}
	execute(t, address, `DELETE FROM goose_db_version WHERE version_id > 0`)
	_, err := pgstore.Open(t.Context(), pgstore.Config{URL: limited})
	require.ErrorContains(t, err, "run `dlrloop migrate` with a role that may create tables")
}

// useAll uses every method of a store once.
func useAll(t *testing.T, s *pgstore.Store) {
	t.Helper()
	ctx := t.Context()
	id := rand.Text()
	require.NoError(t, s.Record(ctx, delivered(id, number(1))))
	require.NoError(t, s.Record(ctx, arrives(store.Quarantined{Raw: []byte("?")})))
	claims, err := s.Claim(ctx, "plan", epoch.Add(time.Hour), time.Minute, 10)
	require.NoError(t, err)
	require.Len(t, claims, 1)
	require.Equal(t, []string{number(1)}, claims[0].Recipients)
	refused := store.Settlement{
		BatchID: id, Lease: claims[0].Lease, Recipients: claims[0].Recipients, Outcome: store.OutcomeDead,
	}
	require.NoError(t, s.Record(ctx, arrives(refused)))
	requeued, err := s.Requeue(ctx, key(id), epoch)
	require.NoError(t, err)
	require.Equal(t, 1, requeued)
	claims, err = s.Claim(ctx, "plan", epoch.Add(time.Hour), time.Minute, 10)
	require.NoError(t, err)
	require.Len(t, claims, 1)
	accepted := store.Settlement{
		BatchID: id, Lease: claims[0].Lease, Recipients: claims[0].Recipients, Outcome: store.OutcomeAccepted,
	}
	require.NoError(t, s.Record(ctx, arrives(accepted)))

	r, err := s.Recipient(ctx, key(id), number(1))
	require.NoError(t, err)
	require.Equal(t, store.FeedbackSent, r.Feedback)
	recipients, err := s.Recipients(ctx, key(id), store.RecipientQuery{})
	require.NoError(t, err)
	require.Len(t, recipients.Items, 1)
	reports, err := s.Reports(ctx, key(id), store.Paging{})
	require.NoError(t, err)
	require.Len(t, reports.Items, 1)
	entries, err := s.Quarantine(ctx, store.Paging{})
	require.NoError(t, err)
	require.Len(t, entries.Items, 1)
	minutes, err := s.Timeseries(ctx, "plan", epoch, epoch.Add(time.Hour))
	require.NoError(t, err)
	require.Len(t, minutes, 1)
	require.NoError(t, s.Ready(ctx))
	held, err := s.AcquireLease(ctx, store.LeaseRetention, epoch, epoch.Add(time.Minute))
	require.NoError(t, err)
	require.True(t, held)

	expired, _, err := s.DeleteOlder(ctx, epoch.Add(time.Hour), 10)
	require.NoError(t, err)
	require.Equal(t, 1, expired)
	stats, err := s.Stats(ctx)
	require.NoError(t, err)
	require.Zero(t, stats[0].Feedback.PendingTasks)
}
