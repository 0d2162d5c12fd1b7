package config

import (
	"math"
	"syscall"
)

// reserved is the address space in bytes that Go's runtime and its threads map but never use. RLIMIT_DATA includes
// it.
const reserved ByteSize = 160 << 20

// dataLimit returns the memory in bytes that RLIMIT_DATA allows, or MaxInt64 without a limit.
func dataLimit() ByteSize {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_DATA, &limit) != nil || limit.Cur > math.MaxInt64 {
		return math.MaxInt64
	}
	return max(ByteSize(limit.Cur)-reserved, 1)
}
