package pgstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/store/pgstore"
	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
)

func newStore(t *testing.T, c pgstore.Config) *pgstore.Store {
	t.Helper()
	s, err := pgstore.Open(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func execute(t *testing.T, url, statement string, arguments ...any) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	c, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close(ctx)) }()
	_, err = c.Exec(ctx, statement, arguments...)
	require.NoError(t, err)
}

func queryOne[V any](t *testing.T, url, query string, arguments ...any) V {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	c, err := pgx.Connect(ctx, url)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close(ctx)) }()
	rows, err := c.Query(ctx, query, arguments...)
	require.NoError(t, err)
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[V])
	require.NoError(t, err)
	return v
}

func TestConcurrentOpensMigrateOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t, pgtest.Config{}).Database(t)
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			s, err := pgstore.Open(t.Context(), pgstore.Config{URL: url, Slots: 7})
			if err != nil {
				return err
			}
			return errors.Join(s.Record(t.Context(), delivered("batch", number(1))), s.Close())
		})
	}
	require.NoError(t, g.Wait())
	require.Equal(t, 7, queryOne[int](t, url, `SELECT slots FROM meta`))
	require.Equal(t, 1, queryOne[int](t, url, `SELECT count(*) FROM batch`))
	require.Equal(t, 7, queryOne[int](t, url, `SELECT sum(duplicates)::int FROM total`))
}

func TestSlotsAreFixedBySchema(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t)
	for _, wanted := range []int{7, 9} {
		s := newStore(t, pgstore.Config{URL: url, Slots: wanted})
		require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
	}
	require.Equal(t, slots, queryOne[int](t, url, `SELECT slots FROM meta`))
	require.Equal(t, 1, queryOne[int](t, url, `SELECT count(*) FROM batch`), "both stores must use the same slot")
}

func TestInvalidURLIsNotInError(t *testing.T) {
	_, err := pgstore.Open(t.Context(), pgstore.Config{URL: "postgres://user:secret@host:port/db"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
	_, err = pgstore.Open(t.Context(), pgstore.Config{})
	require.ErrorIs(t, err, pgstore.ErrURL)
}

func TestOpenRefusesReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t)
	s := newStore(t, pgstore.Config{URL: url})
	require.NoError(t, s.Ready(t.Context()))
	execute(t, url,
		`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$`)
	require.NoError(t, s.Close())
	_, err := pgstore.Open(t.Context(), pgstore.Config{URL: url})
	require.ErrorContains(t, err, "read-only")
}

func TestCloseStopsGoroutines(t *testing.T) {
	url := postgres.Database(t)
	before := goleak.IgnoreCurrent()
	s, err := pgstore.Open(t.Context(), pgstore.Config{URL: url})
	require.NoError(t, err)
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
	require.NoError(t, s.Close())
	goleak.VerifyNone(t, before)
}
