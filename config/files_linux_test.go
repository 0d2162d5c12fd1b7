package config

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// nobody makes access checks of this goroutine use an unprivileged user if the test runs as root, who may write
// everywhere. The kernel checks access for the real user id, which each thread has separately.
func nobody(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	const unprivileged, same = 65534, ^uintptr(0)
	runtime.LockOSThread()
	_, _, err := syscall.RawSyscall(syscall.SYS_SETRESUID, unprivileged, same, same)
	require.Zero(t, err)
	t.Cleanup(func() {
		_, _, err := syscall.RawSyscall(syscall.SYS_SETRESUID, 0, same, same)
		require.Zero(t, err)
		runtime.UnlockOSThread()
	})
}

func TestWarnsOfAStorePathThatCannotBeWritten(t *testing.T) {
	dir := writeFiles(t, map[string]string{"config.yaml": minimal, "kept/x": "", "open/x": ""})
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	require.NoError(t, os.Chmod(filepath.Join(dir, "open"), 0o777))
	require.NoError(t, os.Chmod(filepath.Join(dir, "kept"), 0o500))
	t.Cleanup(func() { require.NoError(t, os.Chmod(filepath.Join(dir, "kept"), 0o700)) })
	nobody(t)
	for path, warned := range map[string]bool{"kept": true, "kept/data/x": true, "open": false, "open/data/x": false} {
		c, err := Load(filepath.Join(dir, "config.yaml"), []string{"DLRLOOP_STORE_PATH=" + filepath.Join(dir, path)})
		require.NoError(t, err)
		if !warned {
			require.Empty(t, c.Warnings)
			continue
		}
		require.Len(t, c.Warnings, 1)
		require.Contains(t, c.Warnings[0].Error(), "this user cannot write to "+filepath.Join(dir, "kept"))
	}
}

// TestCheckRejectsAStoreInAKernelFileSystem uses paths in which no directory can be created, although access(2) lets
// root write there.
func TestCheckRejectsAStoreInAKernelFileSystem(t *testing.T) {
	dir := writeFiles(t, map[string]string{"config.yaml": minimal})
	for root, want := range map[string]string{"/proc": "no such file or directory", "/sys": "operation not permitted"} {
		c, err := Check(filepath.Join(dir, "config.yaml"), []string{"DLRLOOP_STORE_PATH=" + root + "/dlrloop/data"})
		if !mayWrite(root) {
			require.NoError(t, err)
			require.Contains(t, c.Warnings[0].Error(), "this user cannot write to "+root)
			continue
		}
		require.EqualError(t, err, "$DLRLOOP_STORE_PATH: store.path: cannot create a store there: "+want+
			"; name another directory")
	}
}
