//go:build !unix

package server

import "math"

// descriptors is how many files the process may open: other systems set no limit.
func descriptors() int { return math.MaxInt32 }
