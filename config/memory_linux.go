package config

import (
	"math"
	"syscall"
)

// dataLimit is the limit of the process's private memory (RLIMIT_DATA); the greatest number for none.
func dataLimit() ByteSize {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_DATA, &limit) != nil || limit.Cur > math.MaxInt64 {
		return math.MaxInt64
	}
	return ByteSize(limit.Cur)
}
