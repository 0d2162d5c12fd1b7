package pgstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store/pgstore"
)

// TestSourceIncludesCommitsBeforeItsLock starts a copy while an unregistered writer has an open transaction.
func TestSourceIncludesCommitsBeforeItsLock(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	s := newStore(t, pgstore.Config{URL: address})
	require.NoError(t, s.Record(t.Context(), delivered("first", number(1))))
	require.NoError(t, s.Close())
	other, err := pgx.Connect(t.Context(), address)
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close(context.WithoutCancel(t.Context()))) }()
	tx, err := other.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `
INSERT INTO batch (slot, plan, batch_id, first_at, last_at, row) SELECT slot, plan, 'second', first_at, last_at, row FROM batch`)
	require.NoError(t, err)

	var source *pgstore.Source
	opened := make(chan error, 1)
	go func() {
		var err error
		source, err = pgstore.OpenSource(t.Context(), pgstore.Config{URL: address})
		opened <- err
	}()
	require.Eventually(t, func() bool {
		return len(opened) > 0 || queryOne[bool](t, address,
			`SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`)
	}, timeout, 10*time.Millisecond)
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-opened)
	size, err := source.Size(t.Context())
	require.NoError(t, err)
	require.NoError(t, source.Close())
	require.Equal(t, 2, size.Batches)
}
