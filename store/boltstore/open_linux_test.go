package boltstore

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestDirThatCannotBeWrittenIsRefused(t *testing.T) {
	path := filledStore(t)
	shared := filepath.Dir(path)
	require.NoError(t, os.Chmod(filepath.Dir(shared), 0o755))
	require.NoError(t, os.Chmod(path, 0o000))
	t.Cleanup(func() { require.NoError(t, os.Chmod(path, 0o700)) })
	readOnly := filepath.Join(shared, "read only")
	require.NoError(t, os.Mkdir(readOnly, 0o555))
	file := filepath.Join(shared, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	asUnprivileged(t, func() {
		for name, path := range map[string]string{
			"below a read-only directory": filepath.Join(readOnly, "store"),
			"read-only":                   readOnly,
			"of another user":             path,
			"below a file":                filepath.Join(file, "store"),
			"that is a file":              file,
		} {
			_, err := Open(t.Context(), Config{Path: path})
			require.ErrorContains(t, err, "open store: ", name)
			require.ErrorContains(t, err, path, name)
		}
	})
}

// asUnprivileged runs do without root's permission to write everywhere.
func asUnprivileged(t *testing.T, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		do()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const nobody = 65534
	_, err := unix.SetfsuidRetUid(nobody)
	require.NoError(t, err)
	defer func() {
		_, err := unix.SetfsuidRetUid(0)
		require.NoError(t, err)
	}()
	do()
}
