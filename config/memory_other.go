//go:build !linux

package config

import "math"

// dataLimit is no limit: only Linux counts all private memory.
func dataLimit() ByteSize { return math.MaxInt64 }
