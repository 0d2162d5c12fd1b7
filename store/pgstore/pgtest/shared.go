// Package pgtest provides real PostgreSQL databases for tests. They are on a throwaway server that listens on a Unix
// socket in a temporary directory, or on the server whose URL is in DLRLOOP_TEST_POSTGRES. It requires PostgreSQL 13
// or newer.
//
//	var postgres pgtest.Shared
//
//	func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }
//
//	func TestIt(t *testing.T) {
//		pool, err := pgxpool.New(t.Context(), postgres.Database(t))
//		…
//	}
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// URLVariable is the environment variable that may contain the URL of an existing server. Shared then uses that server
// instead of a throwaway server. The user in the URL must be allowed to create databases.
const URLVariable = "DLRLOOP_TEST_POSTGRES"

// Config configures a test server. The zero value is a fast server that loses its last commits in a crash.
type Config struct {
	// Durable makes commits wait for the disk, as in production. Tests that kill the server need it. It has no effect
	// on the server in DLRLOOP_TEST_POSTGRES.
	Durable bool
	// Dir is the directory in which the server's directory is created. The user that PostgreSQL runs as must be
	// able to access it. The default is /dev/shm if that has 2 GiB free and Durable is not set, else the directory
	// for temporary files. If the path is too long for a Unix socket, /tmp is used.
	Dir string
	// Settings are additional settings for postgresql.conf, by name. On the server in DLRLOOP_TEST_POSTGRES they are
	// set for each database, so only settings that a session can change are possible there.
	Settings map[string]string
	// Prepare is called once with the URL of an empty database, for example to run migrations. All other databases
	// are copies of that database. Prepare must close its connections. If Prepare is nil, databases are empty.
	Prepare func(ctx context.Context, url string) error
}

// Shared provides databases on one server for all tests of a package. It starts the server when a test first calls
// Database. It is safe for concurrent use.
type Shared struct {
	Config Config

	once      sync.Once
	server    *Server // nil if DLRLOOP_TEST_POSTGRES is set
	databases *databases
	err       error
}

// Run runs the tests of m, stops the server if it was started, and returns the exit code for TestMain.
func (s *Shared) Run(m *testing.M) int {
	code := m.Run()
	if err := s.close(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the test PostgreSQL:", err)
		return max(code, 1)
	}
	return code
}

// Database creates a database for the test and returns its URL. It drops the database when the test ends, even if
// clients are still connected. If PostgreSQL is not installed, Database skips the test and reports what to install.
func (s *Shared) Database(t testing.TB) string {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	s.once.Do(func() { s.err = s.open(ctx) })
	requireFound(t, s.err)
	address, err := s.databases.create(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.databases.drop(ctx, address)) })
	return address
}

// open starts a server, or uses the server in DLRLOOP_TEST_POSTGRES.
func (s *Shared) open(ctx context.Context) error {
	named := os.Getenv(URLVariable)
	if named == "" {
		server, err := StartProgram(ctx, s.Config)
		if err != nil {
			return err
		}
		s.server, s.databases = server, server.databases
		return nil
	}
	admin, err := url.Parse(named)
	if err != nil || admin.Scheme != "postgres" && admin.Scheme != "postgresql" {
		return errors.New(URLVariable + " is not a URL: use the form postgres://user:password@host:5432/postgres")
	}
	s.databases = &databases{admin: *admin, settings: s.Config.Settings, prepare: s.Config.Prepare}
	return nil
}

// close stops the started server. On the server in DLRLOOP_TEST_POSTGRES it drops the template database.
func (s *Shared) close() error {
	switch {
	case s.server != nil:
		return s.server.Close(context.Background())
	case s.databases != nil:
		return s.databases.close(context.Background())
	}
	return nil
}

// requireFound skips the test if err means that PostgreSQL is not installed, and fails the test on any other error.
func requireFound(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, ErrNotFound) {
		t.Skip(err)
	}
	require.NoError(t, err)
}
