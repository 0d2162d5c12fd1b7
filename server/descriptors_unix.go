//go:build unix

package server

import (
	"math"
	"syscall"
)

// maxDescriptors returns how many files the process may open, or a very large number if that is unknown. Go has already
// raised this soft limit to the hard limit.
func maxDescriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt32
	}
	return int(min(uint64(limit.Cur), math.MaxInt32)) //nolint:unconvert // Cur is signed on some systems
}
