//go:build !unix

package server

import "math"

// maxDescriptors returns the maximum number of open files. Systems other than Unix set none.
func maxDescriptors() int { return math.MaxInt32 }
