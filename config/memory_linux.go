package config

import (
	"math"
	"syscall"
)

// reserved is how much address space Go's runtime and its threads occupy that they never use. RLIMIT_DATA counts it.
const reserved ByteSize = 160 << 20

// dataLimit is what RLIMIT_DATA lets the process use; the greatest number for no limit.
func dataLimit() ByteSize {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_DATA, &limit) != nil || limit.Cur > math.MaxInt64 {
		return math.MaxInt64
	}
	return max(ByteSize(limit.Cur)-reserved, 1)
}
