//go:build !linux

package config

import "math"

// dataLimit returns MaxInt64, which means no limit. Only on Linux does RLIMIT_DATA count all private memory of a
// process.
func dataLimit() ByteSize { return math.MaxInt64 }
