//go:build linux && !skipsync

package boltstore

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync makes what was written to f survive a power loss.
func datasync(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
