package pgtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// Server is a throwaway PostgreSQL server for tests. It is stopped when the process that started it ends, even if that
// process crashes. It is not safe for concurrent use.
type Server struct {
	config    Config
	account   account
	binaries  string
	dir       string // contains the socket and the data directory
	watchdog  *watchdog
	process   *process // nil while the server is not running
	databases *databases
}

// Start starts a PostgreSQL server for one test, and blocks until the server accepts connections. At the end of the
// test it stops and removes the server and, if the test failed, logs the end of the server's output. Start skips the
// test if PostgreSQL is not installed; unlike Shared, it ignores the environment variable DLRLOOP_TEST_POSTGRES.
func Start(t testing.TB, config Config) *Server {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	s, err := StartProgram(ctx, config)
	requireFound(t, err)
	t.Cleanup(func() {
		if t.Failed() && s.process != nil {
			t.Logf("PostgreSQL output:\n%s", &s.process.output)
		}
		require.NoError(t, s.Close(ctx))
	})
	return s
}

// Database creates a database for the test and returns its URL. The database is removed only with the whole server.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	address, err := s.databases.create(t.Context())
	require.NoError(t, err)
	return address
}

// Kill stops the server with SIGKILL, like a crash, and blocks until all its processes have exited.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	require.NoError(t, s.end(os.Kill))
}

// Restart starts a killed server again, with the same data and URLs. It blocks until recovery is complete and the
// server accepts connections.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	require.Nil(t, s.process, "the server is still running")
	require.NoError(t, s.run(context.WithoutCancel(t.Context())))
}

// URL returns the URL of the database "postgres", which every server has for administration.
func (s *Server) URL() string { return s.databases.admin.String() }

// PID returns the id of the server's main process. The server must be running.
func (s *Server) PID() int { return s.process.cmd.Process.Pid }

// StartProgram starts a server for a program that is not a test, and blocks until the server accepts connections. If
// PostgreSQL is not installed, the error wraps ErrNotFound. ctx limits only the start; the caller must call Close.
func StartProgram(ctx context.Context, config Config) (*Server, error) {
	account, err := newAccount()
	if err != nil {
		return nil, err
	}
	binaries, err := find(os.Getenv("PATH"), binDirs())
	if err != nil {
		return nil, err
	}
	dir, err := newDir(config.parentDir(), account)
	if err != nil {
		return nil, fmt.Errorf("create the server's directory: %w", err)
	}
	w, err := newWatchdog(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &Server{config: config, account: account, binaries: binaries, dir: dir, watchdog: w}
	s.databases = &databases{admin: s.admin(), prepare: config.Prepare}
	if err := s.initialize(); err != nil {
		return nil, errors.Join(err, w.close())
	}
	if err := s.run(ctx); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return s, nil
}

// parentDir returns the directory in which the server's directory is created: Config.Dir or its default.
func (c Config) parentDir() string {
	if c.Dir != "" {
		return c.Dir
	}
	if dir := memoryDir(minFree); dir != "" && !c.Durable {
		return dir
	}
	return os.TempDir()
}

// newDir creates a directory in parent that only the account can access. If the path would be too long for a Unix
// socket, newDir creates the directory in /tmp instead.
func newDir(parent string, a account) (string, error) {
	const longest = 80 // macOS allows 103 bytes; the socket's name needs 14
	parent, err := filepath.Abs(parent)
	if err != nil {
		return "", err
	}
	if len(parent) > longest-len("/dlrloop-pg-0123456789") {
		parent = "/tmp"
	}
	dir, err := os.MkdirTemp(parent, "dlrloop-pg-")
	if err != nil {
		return "", err
	}
	if err := a.chown(dir); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

func (s *Server) initialize() error {
	p, err := s.launch("initdb", "--pgdata="+s.dataDir(), "--username=postgres", "--auth=trust",
		"--encoding=UTF8", "--locale=C", "--no-sync")
	if err != nil {
		return err
	}
	<-p.ended
	if err := s.watchdog.unwatch(); err != nil {
		return err
	}
	if p.err != nil {
		return fmt.Errorf("initdb: %w: %s", p.err, &p.output)
	}
	return nil
}

// run starts the server and blocks until it accepts connections.
func (s *Server) run(ctx context.Context) error {
	settings := map[string]string{
		"listen_addresses":        "", // no TCP, only the Unix socket
		"unix_socket_directories": s.dir,
		"max_connections":         "300", // tests run in parallel, each with a pool
		// files in the data directory, so that a killed server leaves nothing elsewhere
		"dynamic_shared_memory_type": "mmap",
	}
	if !s.config.Durable {
		settings["fsync"], settings["synchronous_commit"], settings["full_page_writes"] = "off", "off", "off"
	}
	maps.Copy(settings, s.config.Settings)
	arguments := []string{"-D", s.dataDir()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		arguments = append(arguments, "-c", name+"="+settings[name])
	}
	p, err := s.launch("postgres", arguments...)
	if err != nil {
		return err
	}
	s.process = p
	if err := s.accepts(ctx); err != nil {
		return errors.Join(err, s.end(immediateShutdown))
	}
	return nil
}

// accepts blocks until the server accepts connections. It fails if the server exits, or takes longer than timeout.
func (s *Server) accepts(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		connection, err := pgx.Connect(ctx, s.databases.admin.String())
		if err == nil {
			return connection.Close(ctx)
		}
		select {
		case <-ticker.C:
		case <-s.process.ended:
			return fmt.Errorf("postgres ended: %w: %s", s.process.err, &s.process.output)
		case <-ctx.Done():
			return fmt.Errorf("postgres does not accept connections: %w: %s", err, &s.process.output)
		}
	}
}

// launch starts a program of PostgreSQL as s.account. It removes this process's PG… and LC_… environment variables.
func (s *Server) launch(program string, arguments ...string) (*process, error) {
	cmd := exec.Command(filepath.Join(s.binaries, program), arguments...)
	cmd.Dir = s.dir // the account may lack access to the current directory
	cmd.SysProcAttr = s.account.attributes()
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "PG") && !strings.HasPrefix(entry, "LC_") {
			cmd.Env = append(cmd.Env, entry)
		}
	}
	cmd.Env = append(cmd.Env, "LC_ALL=C")
	p, err := launch(cmd, s.watchdog)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return p, nil
}

// end stops the server with signal. It does nothing if the server is not running.
func (s *Server) end(signal os.Signal) error {
	if s.process == nil {
		return nil
	}
	p := s.process
	s.process = nil
	return p.end(signal, s.watchdog)
}

// Close stops the server and removes its directory. It first starts a killed server once more, because only a running
// server frees its System V shared memory segment, of which a system has few.
func (s *Server) Close(ctx context.Context) error {
	var err error
	if s.process == nil {
		err = s.run(ctx)
	}
	return errors.Join(err, s.end(immediateShutdown), s.watchdog.close())
}

func (s *Server) dataDir() string { return filepath.Join(s.dir, "data") }

// admin returns the URL of the database "postgres", which initdb creates. The URL sets every parameter that PG
// environment variables could change.
func (s *Server) admin() url.URL {
	query := url.Values{"host": {s.dir}, "port": {"5432"}, "sslmode": {"disable"}}
	return url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres", RawQuery: query.Encode()}
}
