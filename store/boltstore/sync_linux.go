//go:build linux && !skipsync

package boltstore

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync makes all completed writes to f survive a power loss. It does not sync metadata such as the times.
func datasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
