//go:build linux && !skipsync

package disk

import (
	"os"

	"golang.org/x/sys/unix"
)

// Datasync makes all completed writes to f survive a power loss. It does not sync metadata such as the file's times.
func Datasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
