//go:build unix

package server

import (
	"math"
	"syscall"
)

// maxDescriptors returns how many files the process may open, or a very large number if that is unknown. The result is
// the soft limit of the process, which Go has raised to the hard limit at the start.
func maxDescriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt32
	}
	return int(min(uint64(limit.Cur), math.MaxInt32)) //nolint:unconvert // Cur is signed on some systems
}
