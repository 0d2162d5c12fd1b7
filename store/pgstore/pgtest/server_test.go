package pgtest

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestKilledServerKeepsCommits(t *testing.T) {
	s := Start(t, Config{Durable: true})
	url := s.Database(t)
	before := connect(t, url)
	for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		assert.Equal(t, "on", one[string](t, before, "SHOW "+setting))
	}
	execute(t, before, `CREATE TABLE note (text text)`)
	execute(t, before, `INSERT INTO note VALUES ('committed')`)
	execute(t, before, `BEGIN`)
	execute(t, before, `INSERT INTO note VALUES ('not committed')`)
	start := one[time.Time](t, before, `SELECT pg_postmaster_start_time()`)

	s.Kill(t)
	require.Error(t, before.Ping(t.Context()))
	_, err := pgx.Connect(t.Context(), url)
	require.Error(t, err)

	s.Restart(t)
	after := connect(t, url)
	assert.Equal(t, "committed", one[string](t, after, `SELECT string_agg(text, ',') FROM note`))
	assert.True(t, one[time.Time](t, after, `SELECT pg_postmaster_start_time()`).After(start),
		"the server was not restarted")
	assert.Contains(t, s.process.output.String(), "automatic recovery in progress",
		"the server was shut down instead of killed")
}

func TestKilledServerIsCleanedUp(t *testing.T) {
	needPostgreSQL(t)
	var dir, segment string
	t.Run("use", func(t *testing.T) {
		s := Start(t, Config{})
		dir, segment = s.dir, sharedMemory(t, s)
		s.Kill(t)
	})
	assert.NoDirExists(t, dir)
	assert.NotContains(t, segments(t), segment)
}

// sharedMemory returns the id of the server's System V shared memory segment.
func sharedMemory(t *testing.T, s *Server) string {
	t.Helper()
	lock, err := os.ReadFile(filepath.Join(s.dataDir(), "postmaster.pid"))
	require.NoError(t, err)
	lines := strings.Split(string(lock), "\n")
	require.Greater(t, len(lines), 6)
	segment := strings.Fields(lines[6])
	require.Len(t, segment, 2, "line 7 of postmaster.pid must hold the key and the id of the segment")
	require.Contains(t, segments(t), segment[1])
	return segment[1]
}

func segments(t *testing.T) []string {
	t.Helper()
	list, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		t.Skip("this system does not list its shared memory segments:", err)
	}
	var ids []string
	for line := range strings.Lines(string(list)) {
		ids = append(ids, strings.Fields(line)[1])
	}
	return ids
}

func TestDurableServerIsNotInMemory(t *testing.T) {
	assert.Equal(t, cmp.Or(memoryDir(minFree), os.TempDir()), Config{}.parentDir())
	assert.Equal(t, os.TempDir(), Config{Durable: true}.parentDir())
	assert.Equal(t, "/chosen", Config{Dir: "/chosen"}.parentDir())
}

func TestMemoryDirWithoutEnoughSpace(t *testing.T) { assert.Empty(t, memoryDir(1<<62)) }

func TestSettings(t *testing.T) {
	s := Start(t, Config{Settings: map[string]string{"default_transaction_isolation": "serializable", "work_mem": "5MB"}})
	connection := connect(t, s.Database(t))
	assert.Equal(t, "serializable", one[string](t, connection, `SHOW transaction_isolation`))
	assert.Equal(t, "5MB", one[string](t, connection, `SHOW work_mem`))
	assert.Equal(t, "off", one[string](t, connection, `SHOW fsync`))
}

func TestFailedStartReportsServerOutput(t *testing.T) {
	needPostgreSQL(t)
	temporary, err := os.MkdirTemp("", "dlrloop-pgtest-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(temporary)) })
	require.NoError(t, os.Chmod(temporary, 0o711)) // if the test runs as root, the server runs as another user
	_, err = StartProgram(t.Context(), Config{Dir: temporary, Settings: map[string]string{"max_connections": "many"}})
	require.ErrorContains(t, err, "postgres ended")
	assert.ErrorContains(t, err, `invalid value for parameter "max_connections": "many"`)
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// orphan is the environment variable that makes the test program call runOrphan.
const orphan = "DLRLOOP_PGTEST_ORPHAN"

// runOrphan starts a server, prints its directory and URL, and blocks until its process is killed.
func runOrphan() int {
	s, err := StartProgram(context.Background(), Config{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(s.dir)
	fmt.Println(s.databases.admin.String())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

func TestServerStopsWhenTestIsKilled(t *testing.T) {
	needPostgreSQL(t)
	program, err := os.Executable()
	require.NoError(t, err)
	test := exec.CommandContext(t.Context(), program)
	test.Env = append(os.Environ(), orphan+"=1")
	test.Stderr = os.Stderr
	stdin, err := test.StdinPipe()
	require.NoError(t, err)
	defer stdin.Close()
	stdout, err := test.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, test.Start())
	lines := bufio.NewScanner(stdout)
	require.True(t, lines.Scan())
	dir := lines.Text()
	require.True(t, lines.Scan())
	url := lines.Text()
	require.DirExists(t, dir)
	connection := connect(t, url)

	require.NoError(t, test.Process.Kill())
	require.Error(t, test.Wait())
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	_, err = connection.WaitForNotification(ctx) // blocks until the server ends
	require.Error(t, err)
	require.NoError(t, ctx.Err(), "the server still runs although the test was killed")
	require.Eventually(t, func() bool {
		_, err := os.Stat(dir)
		return os.IsNotExist(err)
	}, timeout, 20*time.Millisecond)
}

// TestStartProgram does not register the server with a test, as a program that is not a test would use it.
func TestStartProgram(t *testing.T) {
	needPostgreSQL(t)
	dir, err := os.MkdirTemp("", "dlrloop-pgtest-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711)) // if the test runs as root, the server runs as another user
	s, err := StartProgram(t.Context(), Config{Durable: true, Dir: dir})
	require.NoError(t, err)
	assert.Equal(t, dir, filepath.Dir(s.dir))
	connection := connect(t, s.URL())
	assert.Equal(t, "on", one[string](t, connection, "SHOW fsync"))
	process, err := os.FindProcess(s.PID())
	require.NoError(t, err)
	require.NoError(t, process.Signal(syscall.Signal(0)))
	require.NoError(t, s.Close(t.Context()))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
	assert.Error(t, process.Signal(syscall.Signal(0)))
}
