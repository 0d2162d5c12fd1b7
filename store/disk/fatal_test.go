package disk

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyWriteErrorsOfAFullDiskAreNotFatal(t *testing.T) {
	full := &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	for _, c := range []struct {
		err  error
		ends bool
	}{
		{full, false},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.EDQUOT}, false},
		{&fs.PathError{Op: "write", Path: "x", Err: syscall.EIO}, true},
		{&fs.PathError{Op: "sync", Path: "x", Err: syscall.ENOSPC}, true},
		{&fs.PathError{Op: "truncate", Path: "x", Err: syscall.ENOSPC}, true},
		{os.NewSyscallError("fdatasync", syscall.ENOSPC), true},
		{syscall.ENOSPC, true},
		{errors.New("another error"), true},
	} {
		require.Equal(t, c.ends, IsFatal(Fatal(c.err)), "%v", c.err)
		require.Equal(t, c.ends, IsFatal(errors.Join(Fatal(c.err), errors.New("a second error"))), "%v", c.err)
		require.ErrorIs(t, Fatal(c.err), c.err)
	}
	require.False(t, IsFatal(full))
	require.False(t, IsFatal(nil))
}
