package pgstore_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store/pgstore"
)

// newPgBouncer starts PgBouncer in transaction mode in front of the server of a URL, and returns the URL for clients.
// It skips the test if PgBouncer is not installed.
func newPgBouncer(t *testing.T, address string, settings ...string) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		t.Skip("no pgbouncer found: install it (Debian and Ubuntu: apt-get install pgbouncer)")
	}
	u, err := url.Parse(address)
	require.NoError(t, err)
	q := u.Query()

	// The directory holds PgBouncer's socket, so no other process can take its address. PgBouncer may run as another
	// user, which cannot read t.TempDir.
	dir, err := os.MkdirTemp("", "dlrloop-bouncer-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	ini := filepath.Join(dir, "pgbouncer.ini")
	lines := append([]string{
		"[databases]",
		fmt.Sprintf("* = host=%s port=%s", q.Get("host"), q.Get("port")),
		"[pgbouncer]", "listen_addr =", "listen_port = 6432", "unix_socket_dir = " + dir,
		"auth_type = any", "pool_mode = transaction", "default_pool_size = 4",
	}, settings...)
	lines[1] += " user=" + u.User.Username()
	require.NoError(t, os.WriteFile(ini, []byte(strings.Join(lines, "\n")+"\n"), 0o644))

	cmd := exec.Command(program, "-q", ini)
	cmd.Dir = dir
	if os.Geteuid() == 0 { // PgBouncer refuses to run as root
		account, err := user.Lookup("postgres") // the user of the server, which owns the socket
		require.NoError(t, err)
		uid, err := strconv.ParseUint(account.Uid, 10, 32)
		require.NoError(t, err)
		gid, err := strconv.ParseUint(account.Gid, 10, 32)
		require.NoError(t, err)
		require.NoError(t, os.Chown(dir, int(uid), int(gid)))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // returns an error because the process was killed
	})
	q.Set("host", dir)
	q.Set("port", "6432")
	u.RawQuery = q.Encode()
	require.Eventually(t, func() bool {
		c, err := pgx.Connect(context.WithoutCancel(t.Context()), u.String())
		if err == nil {
			err = c.Close(context.WithoutCancel(t.Context()))
		}
		return err == nil
	}, timeout, 1)
	return u.String()
}

func TestBehindPgBouncer(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"cache_describe", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			address := newPgBouncer(t, postgres.Database(t),
				"ignore_startup_parameters = statement_timeout, idle_in_transaction_session_timeout, jit")
			s := newStore(t, pgstore.Config{URL: address + "&default_query_exec_mode=" + mode})
			useAll(t, s)
			l := newLoad(t, s, 8)
			l.waitRecorded(t, 100)
			recorded := l.end()
			require.Len(t, recorded, int(l.begun.Load()))
			requireKept(t, s, recorded)
		})
	}
}

func TestPgBouncerRejectsSettings(t *testing.T) {
	t.Parallel()
	address := newPgBouncer(t, postgres.Database(t))
	_, err := pgstore.Open(t.Context(), pgstore.Config{URL: address + "&default_query_exec_mode=exec"})
	require.ErrorContains(t, err,
		"ignore_startup_parameters = statement_timeout, idle_in_transaction_session_timeout, jit")
}
