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

// Server is a throwaway PostgreSQL server. It ends with the process that started it, however that ends. One goroutine
// at a time may use it.
type Server struct {
	config    Config
	account   account
	binaries  string
	folder    string // of the socket, and of data
	watchdog  *watchdog
	process   *process // nil while it does not run
	databases *databases
}

// Start starts a server of the test's own, ended and removed with the test. It never uses the one that
// DLRLOOP_TEST_POSTGRES names. Where there is no PostgreSQL it skips the test and says what to install. If the test
// fails, what the server last said is logged.
func Start(t testing.TB, config Config) *Server {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	s, err := boot(ctx, config)
	need(t, err)
	t.Cleanup(func() {
		if t.Failed() && s.process != nil {
			t.Logf("PostgreSQL said:\n%s", &s.process.said)
		}
		require.NoError(t, s.close(ctx))
	})
	return s
}

// Database returns the URL of a new database. It goes with the server.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	address, err := s.databases.create(t.Context())
	require.NoError(t, err)
	return address
}

// Kill ends the server as a crash does, by SIGKILL, and returns when no process of it is left.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	require.NoError(t, s.end(os.Kill))
}

// Restart starts a killed server again, on the same data and with the same URLs, and returns when it accepts
// connections: it has recovered.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	require.Nil(t, s.process, "the server runs")
	require.NoError(t, s.run(context.WithoutCancel(t.Context())))
}

// Boot starts a server for a program that is no test. Whoever starts it closes it.
func Boot(ctx context.Context, config Config) (*Server, error) { return boot(ctx, config) }

// Close ends the server and removes all that is left of it.
func (s *Server) Close(ctx context.Context) error { return s.close(ctx) }

// URL is that of a database that is always there, for making others.
func (s *Server) URL() string { return s.databases.admin.String() }

// PID is the process that all others of the running server descend from.
func (s *Server) PID() int { return s.process.cmd.Process.Pid }

// boot makes a cluster and starts its server.
func boot(ctx context.Context, config Config) (*Server, error) {
	account, err := newAccount()
	if err != nil {
		return nil, err
	}
	binaries, err := find(os.Getenv("PATH"), places())
	if err != nil {
		return nil, err
	}
	folder, err := newFolder(config.place(), account)
	if err != nil {
		return nil, fmt.Errorf("make the server's folder: %w", err)
	}
	w, err := newWatchdog(folder)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	s := &Server{config: config, account: account, binaries: binaries, folder: folder, watchdog: w}
	s.databases = &databases{admin: s.admin(), prepare: config.Prepare}
	if err := s.initialize(); err != nil {
		return nil, errors.Join(err, w.close())
	}
	if err := s.run(ctx); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return s, nil
}

// place is where the server's folder is made.
func (c Config) place() string {
	if c.Folder != "" {
		return c.Folder
	}
	if folder := memory(room); folder != "" && !c.Durable {
		return folder
	}
	return os.TempDir()
}

// newFolder makes a folder for the account alone, whose path is short enough for a socket in it.
func newFolder(in string, a account) (string, error) {
	const longest = 80 // of the 103 bytes that macOS allows, the socket's name needs 14
	in, err := filepath.Abs(in)
	if err != nil {
		return "", err
	}
	if len(in) > longest-len("/dlrloop-pg-0123456789") {
		in = "/tmp"
	}
	folder, err := os.MkdirTemp(in, "dlrloop-pg-")
	if err != nil {
		return "", err
	}
	if err := a.own(folder); err != nil {
		return "", errors.Join(err, os.RemoveAll(folder))
	}
	return folder, nil
}

func (s *Server) initialize() error {
	p, err := s.launch("initdb", "--pgdata="+s.data(), "--username=postgres", "--auth=trust",
		"--encoding=UTF8", "--locale=C", "--no-sync")
	if err != nil {
		return err
	}
	<-p.ended
	if err := s.watchdog.forget(); err != nil {
		return err
	}
	if p.err != nil {
		return fmt.Errorf("initdb: %w: %s", p.err, &p.said)
	}
	return nil
}

// run starts the server and waits until it accepts connections.
func (s *Server) run(ctx context.Context) error {
	settings := map[string]string{
		"listen_addresses":           "", // only the socket
		"unix_socket_directories":    s.folder,
		"max_connections":            "300",  // tests run side by side, each with a pool
		"dynamic_shared_memory_type": "mmap", // files in the folder: a killed server leaves none elsewhere
	}
	if !s.config.Durable {
		settings["fsync"], settings["synchronous_commit"], settings["full_page_writes"] = "off", "off", "off"
	}
	maps.Copy(settings, s.config.Settings)
	arguments := []string{"-D", s.data()}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		arguments = append(arguments, "-c", name+"="+settings[name])
	}
	p, err := s.launch("postgres", arguments...)
	if err != nil {
		return err
	}
	s.process = p
	if err := s.accepts(ctx); err != nil {
		return errors.Join(err, s.end(immediately))
	}
	return nil
}

// accepts waits until the server accepts connections.
func (s *Server) accepts(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		connection, err := pgx.Connect(ctx, s.databases.admin.String())
		if err == nil {
			return connection.Close(ctx)
		}
		select {
		case <-again.C:
		case <-s.process.ended:
			return fmt.Errorf("postgres ended: %w: %s", s.process.err, &s.process.said)
		case <-ctx.Done():
			return fmt.Errorf("postgres accepts no connection: %w: %s", err, &s.process.said)
		}
	}
}

func (s *Server) launch(program string, arguments ...string) (*process, error) {
	cmd := exec.Command(filepath.Join(s.binaries, program), arguments...)
	cmd.Dir = s.folder // the account may not be allowed where we are
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

// end ends the server if it runs.
func (s *Server) end(signal os.Signal) error {
	if s.process == nil {
		return nil
	}
	p := s.process
	s.process = nil
	return p.end(signal, s.watchdog)
}

// close ends the server and removes its folder. A killed server runs once more before: only then is its shared memory,
// of which a machine has few segments, given back.
func (s *Server) close(ctx context.Context) error {
	var err error
	if s.process == nil {
		err = s.run(ctx)
	}
	return errors.Join(err, s.end(immediately), s.watchdog.close())
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

// admin is the URL of the database that initdb makes. It leaves nothing to the environment's PG variables.
func (s *Server) admin() url.URL {
	query := url.Values{"host": {s.folder}, "port": {"5432"}, "sslmode": {"disable"}}
	return url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres", RawQuery: query.Encode()}
}
