package pgtest

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if os.Getenv(orphan) != "" {
		os.Exit(runOrphan())
	}
	os.Exit(m.Run())
}

// needPostgreSQL skips the test if PostgreSQL is not installed. Otherwise only its subtest would be skipped.
func needPostgreSQL(t *testing.T) {
	t.Helper()
	_, err := find(os.Getenv("PATH"), binDirs())
	requireFound(t, err)
}

// shared returns a Shared for the subtests of a test. It is closed when the test ends.
func shared(t *testing.T, config Config) *Shared {
	t.Helper()
	needPostgreSQL(t)
	s := &Shared{Config: config}
	t.Cleanup(func() { require.NoError(t, s.close()) })
	return s
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close(context.Background()) }) // fails if the test has ended the connection
	return connection
}

func execute(t *testing.T, connection *pgx.Conn, statement string) {
	t.Helper()
	_, err := connection.Exec(t.Context(), statement)
	require.NoError(t, err)
}

// one returns the single value that the query returns.
func one[V any](t *testing.T, connection *pgx.Conn, query string) V {
	t.Helper()
	var value V
	require.NoError(t, connection.QueryRow(t.Context(), query).Scan(&value))
	return value
}

const ours = `SELECT count(*) FROM pg_database WHERE datname LIKE 'dlrloop\_test\_%'`

func TestDatabasesAreSeparate(t *testing.T) {
	t.Setenv(URLVariable, "")
	s := shared(t, Config{})
	t.Run("use", func(t *testing.T) {
		a, b := connect(t, s.Database(t)), connect(t, s.Database(t))
		execute(t, a, `CREATE TABLE note (text text)`)
		execute(t, a, `INSERT INTO note VALUES ('a')`)
		execute(t, b, `CREATE TABLE note (text text)`)
		assert.Equal(t, 1, one[int](t, a, `SELECT count(*) FROM note`))
		assert.Equal(t, 0, one[int](t, b, `SELECT count(*) FROM note`))
		assert.Equal(t, 2, one[int](t, a, ours))
		assert.Equal(t, "off", one[string](t, a, `SHOW fsync`))
		assert.Empty(t, one[string](t, a, `SHOW listen_addresses`))
	})
	admin := connect(t, s.databases.admin.String())
	assert.Equal(t, 0, one[int](t, admin, ours), "the databases were not dropped when the test ended")
}

func TestDatabaseIsDroppedDespiteConnections(t *testing.T) {
	t.Setenv(URLVariable, "")
	s := shared(t, Config{})
	var left *pgx.Conn
	t.Run("use", func(t *testing.T) {
		var err error
		left, err = pgx.Connect(t.Context(), s.Database(t))
		require.NoError(t, err)
	})
	assert.Error(t, left.Ping(t.Context()))
	require.NoError(t, left.Close(t.Context()))
}

func TestDatabasesInParallel(t *testing.T) {
	t.Setenv(URLVariable, "")
	prepared := 0
	s := shared(t, Config{Prepare: func(ctx context.Context, url string) error {
		prepared++
		connection, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		_, err = connection.Exec(ctx, `CREATE TABLE note AS SELECT 'prepared' AS text`)
		return errors.Join(err, connection.Close(ctx))
	}})
	t.Run("use", func(t *testing.T) {
		for range 6 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				connection := connect(t, s.Database(t))
				execute(t, connection, `INSERT INTO note VALUES ('mine')`)
				assert.Equal(t, 2, one[int](t, connection, `SELECT count(*) FROM note`))
			})
		}
	})
	assert.Equal(t, 1, prepared)
}

func TestFailedPreparationFailsEveryDatabase(t *testing.T) {
	s := Start(t, Config{Prepare: func(context.Context, string) error { return errors.New("no such column") }})
	for range 2 {
		_, err := s.databases.create(t.Context())
		assert.ErrorContains(t, err, "prepare the template database: no such column")
	}
}

func TestServerFromEnvironment(t *testing.T) {
	named := Start(t, Config{})
	admin := named.databases.admin
	t.Setenv(URLVariable, admin.String())
	t.Run("use", func(t *testing.T) {
		s := shared(t, Config{
			Settings: map[string]string{"default_transaction_isolation": "serializable", "application_name": "it's"},
			Prepare:  func(context.Context, string) error { return nil },
		})
		connection := connect(t, s.Database(t))
		assert.Nil(t, s.server)
		assert.Equal(t, "serializable", one[string](t, connection, `SHOW default_transaction_isolation`))
		assert.Equal(t, "it's", one[string](t, connection, `SHOW application_name`))
		assert.Equal(t, 2, one[int](t, connection, ours), "expected the test's database and the prepared one")
	})
	assert.Equal(t, 0, one[int](t, connect(t, admin.String()), ours), "databases were left on the server")
}

func TestServerURLIsChecked(t *testing.T) {
	for _, named := range []string{"host=db password=secret", "postgres://user:secret@db:port/"} {
		t.Setenv(URLVariable, named)
		err := new(Shared).open(t.Context())
		require.ErrorContains(t, err, "DLRLOOP_TEST_POSTGRES is not a URL")
		assert.NotContains(t, err.Error(), "secret")
	}
}
