// Package pgtest gives tests real PostgreSQL databases: of a throwaway server that listens on a Unix socket in a
// temporary folder, or of one that DLRLOOP_TEST_POSTGRES names. It needs PostgreSQL 13 or newer.
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

// Variable is the environment variable with the URL of a server to use instead of a throwaway one. Its user must be
// allowed to make databases there.
const Variable = "DLRLOOP_TEST_POSTGRES"

// Config is what a server is like. The zero value is quick and loses its last commits when it is killed.
type Config struct {
	// Durable has a commit wait for the disk, as in production: for tests that kill the server. It says nothing to
	// the server that DLRLOOP_TEST_POSTGRES names.
	Durable bool
	// Folder is where the server's folder is made; default memory, where the system has a folder with room that is kept there and
	// Durable is not asked for, else the system's for temporary files. When the path is too long for a socket it is /tmp. The
	// account that PostgreSQL runs as must be allowed to reach it.
	Folder string
	// Settings are more of postgresql.conf, by name. On a server that DLRLOOP_TEST_POSTGRES names they are set for
	// each database, which only a session's settings can be.
	Settings map[string]string
	// Prepare fills, once, the database that all others are copies of: for migrations. It must close its connections.
	// Without it databases are empty.
	Prepare func(ctx context.Context, url string) error
}

// Shared is one server for all tests of a package. It starts when the first of them asks for a database. Tests may
// ask at the same time.
type Shared struct {
	Config Config

	once      sync.Once
	server    *Server // nil when DLRLOOP_TEST_POSTGRES names another
	databases *databases
	err       error
}

// Run runs the tests, ends the server and returns the code to exit with.
func (s *Shared) Run(m *testing.M) int {
	code := m.Run()
	if err := s.close(); err != nil {
		fmt.Fprintln(os.Stderr, "end the tests' PostgreSQL:", err)
		return max(code, 1)
	}
	return code
}

// Database returns the URL of a new database, dropped when the test ends, with those who are still connected. Where
// there is no PostgreSQL it skips the test and says what to install.
func (s *Shared) Database(t testing.TB) string {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	s.once.Do(func() { s.err = s.open(ctx) })
	need(t, s.err)
	address, err := s.databases.create(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.databases.drop(ctx, address)) })
	return address
}

func (s *Shared) open(ctx context.Context) error {
	named := os.Getenv(Variable)
	if named == "" {
		server, err := boot(ctx, s.Config)
		if err != nil {
			return err
		}
		s.server, s.databases = server, server.databases
		return nil
	}
	admin, err := url.Parse(named)
	if err != nil || admin.Scheme != "postgres" && admin.Scheme != "postgresql" {
		return errors.New(Variable + " is not a URL: write postgres://user:password@host:5432/postgres")
	}
	s.databases = &databases{admin: *admin, settings: s.Config.Settings, prepare: s.Config.Prepare}
	return nil
}

func (s *Shared) close() error {
	switch {
	case s.server != nil:
		return s.server.close(context.Background())
	case s.databases != nil:
		return s.databases.close(context.Background())
	}
	return nil
}

// need skips the test when there is no PostgreSQL, and fails it on every other error.
func need(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, ErrNotFound) {
		t.Skip(err)
	}
	require.NoError(t, err)
}
