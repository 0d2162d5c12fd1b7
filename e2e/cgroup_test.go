package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// cgroup is a control group, version 1 or 2, that limits the memory of its processes. Swap is disabled: the kernel
// kills a process that exceeds the limit.
type cgroup struct {
	t   *testing.T
	dir string
	v2  bool
}

// newCgroup creates a control group with a limit in bytes. It skips the test if that is not possible. Create it
// before the program that runs in it (program.cgroup), so that the test removes it after the program has ended.
func newCgroup(t *testing.T, limit int64) *cgroup {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can create a control group with a memory limit")
	}
	c := &cgroup{t: t}
	parent := "/sys/fs/cgroup/memory"
	if _, err := os.Stat(filepath.Join(parent, "cgroup.procs")); err != nil {
		parent, c.v2 = "/sys/fs/cgroup", true
	}
	c.dir = filepath.Join(parent, fmt.Sprintf("dlrloop-%d-%p", os.Getpid(), c))
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		t.Skipf("cannot create a control group: %v", err)
	}
	t.Cleanup(c.remove)
	limits := []string{"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"}
	if c.v2 {
		limits = []string{"memory.max"}
	}
	for i, file := range limits {
		err := os.WriteFile(filepath.Join(c.dir, file), strconv.AppendInt(nil, limit, 10), 0o600)
		switch {
		case i > 0 && errors.Is(err, fs.ErrNotExist): // the kernel does not account for swap
		case err != nil:
			t.Skipf("cannot set a memory limit: %v", err)
		}
	}
	if c.v2 { // the file does not exist if the kernel has no swap
		_ = os.WriteFile(filepath.Join(c.dir, "memory.swap.max"), []byte("0"), 0o600)
	}
	return c
}

func (c *cgroup) remove() {
	eventually(c.t, "removed: the control group", func() bool {
		err := os.Remove(c.dir)
		return err == nil || errors.Is(err, fs.ErrNotExist)
	})
}

// command returns a command that runs in the control group from its first instruction. Its process id is that of the
// named program.
func (c *cgroup) command(name string, args ...string) *exec.Cmd {
	enter := []string{"-c", `echo 0 >"$0/cgroup.procs" && exec "$@"`, c.dir, name}
	return exec.Command("sh", append(enter, args...)...)
}

// peak returns the largest memory use so far, in bytes. It includes the page cache, which the kernel reclaims instead
// of killing a process.
func (c *cgroup) peak() int64 {
	c.t.Helper()
	file := "memory.max_usage_in_bytes"
	if c.v2 {
		file = "memory.peak"
	}
	b, err := os.ReadFile(filepath.Join(c.dir, file))
	require.NoError(c.t, err)
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	require.NoError(c.t, err)
	return n
}

// anonymous returns the present memory use in bytes, without page cache and mapped files.
func (c *cgroup) anonymous() int64 {
	c.t.Helper()
	field := "total_rss "
	if c.v2 {
		field = "anon "
	}
	b, err := os.ReadFile(filepath.Join(c.dir, "memory.stat"))
	require.NoError(c.t, err)
	for line := range strings.Lines(string(b)) {
		if value, found := strings.CutPrefix(line, field); found {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			require.NoError(c.t, err)
			return n
		}
	}
	require.Fail(c.t, "no "+field+"in memory.stat")
	return 0
}

func TestMemoryLimitKills(t *testing.T) {
	c := newCgroup(t, 64<<20)
	require.NoError(t, c.command("true").Run())
	err := c.command("head", "-c", "256M", "/dev/zero").Run()
	require.NoError(t, err, "a streaming process must stay within the limit")
	err = c.command("sh", "-c", "head -c 256M /dev/zero | tail -c 256M").Run() // tail buffers all of it
	require.ErrorContains(t, err, "exit status 137")
	require.LessOrEqual(t, c.peak(), int64(64<<20))
	require.Less(t, c.anonymous(), int64(64<<20))
}
