package disk

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReplacedIgnoresUnrelatedErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	opened, err := os.Stat(path)
	require.NoError(t, err)
	other, err := os.Stat(filepath.Dir(path))
	require.NoError(t, err)
	for _, c := range []struct {
		info os.FileInfo
		err  error
		want bool
	}{
		{opened, nil, false},
		{other, nil, true},
		{nil, &fs.PathError{Op: "stat", Err: syscall.ENOENT}, true},
		{nil, &fs.PathError{Op: "stat", Err: syscall.ENOTDIR}, true},
		{nil, &fs.PathError{Op: "stat", Err: syscall.EIO}, false},
		{nil, &fs.PathError{Op: "stat", Err: syscall.EACCES}, false},
		{nil, &fs.PathError{Op: "stat", Err: syscall.EMFILE}, false},
	} {
		require.Equal(t, c.want, replaced(opened, c.info, c.err), "%v", c.err)
	}
}
