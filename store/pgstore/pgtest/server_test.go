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

func TestKilledServerKeepsWhatWasCommitted(t *testing.T) {
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
	assert.True(t, one[time.Time](t, after, `SELECT pg_postmaster_start_time()`).After(start), "it is another server")
	assert.Contains(t, s.process.said.String(), "automatic recovery in progress", "it was killed, not ended")
}

func TestKilledServerLeavesNothing(t *testing.T) {
	needPostgreSQL(t)
	var folder, segment string
	t.Run("use", func(t *testing.T) {
		s := Start(t, Config{})
		folder, segment = s.folder, sharedMemory(t, s)
		s.Kill(t)
	})
	assert.NoDirExists(t, folder)
	assert.NotContains(t, segments(t), segment)
}

// sharedMemory is the id of the server's System V segment, as it is in the system's list.
func sharedMemory(t *testing.T, s *Server) string {
	t.Helper()
	lock, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	require.NoError(t, err)
	lines := strings.Split(string(lock), "\n")
	require.Greater(t, len(lines), 6)
	segment := strings.Fields(lines[6])
	require.Len(t, segment, 2, "a key and an id")
	require.Contains(t, segments(t), segment[1])
	return segment[1]
}

func segments(t *testing.T) []string {
	t.Helper()
	list, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		t.Skip("this system does not list its shared memory:", err)
	}
	var ids []string
	for line := range strings.Lines(string(list)) {
		ids = append(ids, strings.Fields(line)[1])
	}
	return ids
}

func TestOnlyWhatMayBeLostIsInMemory(t *testing.T) {
	assert.Equal(t, cmp.Or(memory(room), os.TempDir()), Config{}.place())
	assert.Equal(t, os.TempDir(), Config{Durable: true}.place())
	assert.Equal(t, "/chosen", Config{Folder: "/chosen"}.place())
}

func TestTooLittleMemoryIsNotUsed(t *testing.T) { assert.Empty(t, memory(1<<62)) }

func TestSettings(t *testing.T) {
	s := Start(t, Config{Settings: map[string]string{"default_transaction_isolation": "serializable", "work_mem": "5MB"}})
	connection := connect(t, s.Database(t))
	assert.Equal(t, "serializable", one[string](t, connection, `SHOW transaction_isolation`))
	assert.Equal(t, "5MB", one[string](t, connection, `SHOW work_mem`))
	assert.Equal(t, "off", one[string](t, connection, `SHOW fsync`))
}

func TestServerThatDoesNotStartSaysWhy(t *testing.T) {
	needPostgreSQL(t)
	temporary, err := os.MkdirTemp("", "dlrloop-pgtest-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(temporary)) })
	require.NoError(t, os.Chmod(temporary, 0o711)) // root's server runs as another user
	_, err = boot(t.Context(), Config{Folder: temporary, Settings: map[string]string{"max_connections": "many"}})
	require.ErrorContains(t, err, "postgres ended")
	assert.ErrorContains(t, err, `invalid value for parameter "max_connections": "many"`)
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// orphan is set for the process that is killed with its server running.
const orphan = "DLRLOOP_PGTEST_ORPHAN"

// beOrphaned starts a server, says where it is, and waits to be killed.
func beOrphaned() int {
	s, err := boot(context.Background(), Config{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(s.folder)
	fmt.Println(s.databases.admin.String())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

func TestServerGoesWithAKilledTest(t *testing.T) {
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
	folder := lines.Text()
	require.True(t, lines.Scan())
	url := lines.Text()
	require.DirExists(t, folder)
	connection := connect(t, url)

	require.NoError(t, test.Process.Kill())
	require.Error(t, test.Wait())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = connection.WaitForNotification(ctx) // returns when the server ends
	require.Error(t, err)
	require.NoError(t, ctx.Err(), "the server outlives the test")
	require.Eventually(t, func() bool {
		_, err := os.Stat(folder)
		return os.IsNotExist(err)
	}, patience, 20*time.Millisecond)
}

// TestAProgramMayStartAServer has no test but this one know of it.
func TestAProgramMayStartAServer(t *testing.T) {
	needPostgreSQL(t)
	folder, err := os.MkdirTemp("", "dlrloop-pgtest-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	require.NoError(t, os.Chmod(folder, 0o711)) // root's server runs as another user
	s, err := Boot(t.Context(), Config{Durable: true, Folder: folder})
	require.NoError(t, err)
	assert.Equal(t, folder, filepath.Dir(s.folder))
	connection := connect(t, s.URL())
	assert.Equal(t, "on", one[string](t, connection, "SHOW fsync"))
	process, err := os.FindProcess(s.PID())
	require.NoError(t, err)
	require.NoError(t, process.Signal(syscall.Signal(0)))
	require.NoError(t, s.Close(t.Context()))
	left, err := os.ReadDir(folder)
	require.NoError(t, err)
	assert.Empty(t, left)
	assert.Error(t, process.Signal(syscall.Signal(0)))
}
