//go:build !linux && !skipsync

package boltstore

import "os"

// datasync makes all completed writes to f survive a power loss.
func datasync(f *os.File) error { return f.Sync() }
