package copying_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore"
	"github.com/dlrloop/dlrloop/store/copying"
	"github.com/dlrloop/dlrloop/store/pgstore"
	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
)

var postgres = pgtest.Shared{Config: pgtest.Config{Prepare: makeSchema}}

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

// makeSchema migrates a database, but deletes the row of meta that identifies a store: each test database gets its
// own when it is first opened.
func makeSchema(ctx context.Context, url string) error {
	if _, _, err := pgstore.Migrate(ctx, pgstore.Config{URL: url}, false); err != nil {
		return err
	}
	connection, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = connection.Exec(ctx, "DELETE FROM meta")
	return errors.Join(err, connection.Close(ctx))
}

// long reports whether the tests use larger stores (DLRLOOP_LONG is set).
func long() bool { return os.Getenv("DLRLOOP_LONG") != "" }

// place is a location of a store.
type place interface {
	open(t testing.TB) store.Store
	source(t testing.TB) copying.Source
	sink(t testing.TB) copying.Sink
}

type bolt struct{ path string }

// segment is small, because opening a store reads a whole segment.
const segment = 256 << 10

func (b bolt) config() boltstore.Config {
	return boltstore.Config{Path: b.path, Policies: policies, Segment: segment}
}

func (b bolt) open(t testing.TB) store.Store {
	t.Helper()
	s, err := boltstore.Open(t.Context(), b.config())
	require.NoError(t, err)
	return closing(t, s)
}

func (b bolt) source(t testing.TB) copying.Source {
	t.Helper()
	s, err := boltstore.OpenSource(t.Context(), boltstore.Config{Path: b.path, Segment: segment})
	require.NoError(t, err)
	return closing(t, s)
}

func (b bolt) sink(t testing.TB) copying.Sink {
	t.Helper()
	s, err := boltstore.OpenSink(boltstore.Config{Path: b.path, Segment: segment})
	require.NoError(t, err)
	return closing(t, s)
}

type database struct {
	url     string
	dialect pgstore.Dialect
}

func (d database) config() pgstore.Config {
	return pgstore.Config{URL: d.url, Policies: policies, Dialect: d.dialect}
}

func (d database) open(t testing.TB) store.Store {
	t.Helper()
	s, err := pgstore.Open(t.Context(), d.config())
	require.NoError(t, err)
	return closing(t, s)
}

func (d database) source(t testing.TB) copying.Source {
	t.Helper()
	s, err := pgstore.OpenSource(t.Context(), d.config())
	require.NoError(t, err)
	return closing(t, s)
}

func (d database) sink(t testing.TB) copying.Sink {
	t.Helper()
	s, err := pgstore.OpenSink(t.Context(), d.config())
	require.NoError(t, err)
	return closing(t, s)
}

// closing closes c at the end of the test, unless the test closed it before.
func closing[C interface{ Close() error }](t testing.TB, c C) C {
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func newFolder(t testing.TB) bolt { return bolt{filepath.Join(t.TempDir(), "data")} }

// twin returns a copy of the store in another folder, for tests that run in parallel.
func (b bolt) twin(t testing.TB) bolt {
	t.Helper()
	other := newFolder(t)
	require.NoError(t, os.CopyFS(other.path, os.DirFS(b.path)))
	return other
}

func newDatabase(t testing.TB) database { return database{url: postgres.Database(t)} }

// copied copies the store from one place to another and returns the summary.
func copied(t testing.TB, from, to place) copying.Summary {
	t.Helper()
	source, sink := from.source(t), to.sink(t)
	summary, err := copying.Run(t.Context(), source, sink, func(copying.Progress) {})
	require.NoError(t, err)
	require.NoError(t, source.Close())
	require.NoError(t, sink.Close())
	return summary
}
