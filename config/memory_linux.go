package config

import (
	"math"
	"syscall"
)

// unusedAddressSpace approximates how many bytes of address space Go's runtime and threads map but do not use. They
// count toward RLIMIT_DATA, so dataLimit subtracts them.
const unusedAddressSpace ByteSize = 160 << 20

// dataLimit returns how many bytes of memory the process can use under RLIMIT_DATA, or MaxInt64 if RLIMIT_DATA is not
// set.
func dataLimit() ByteSize {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_DATA, &limit) != nil || limit.Cur > math.MaxInt64 {
		return math.MaxInt64
	}
	return max(ByteSize(limit.Cur)-unusedAddressSpace, 1)
}
