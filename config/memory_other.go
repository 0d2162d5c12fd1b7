//go:build !linux

package config

import "math"

// dataLimit returns MaxInt64, no limit, because only Linux counts all private memory in RLIMIT_DATA.
func dataLimit() ByteSize { return math.MaxInt64 }
