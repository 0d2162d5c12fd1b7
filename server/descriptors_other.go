//go:build !unix

package server

import "math"

// maxDescriptors returns how many files the process may open. Systems other than Unix set no limit, so it returns a
// very large number.
func maxDescriptors() int { return math.MaxInt32 }
