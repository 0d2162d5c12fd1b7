//go:build !linux && !skipsync

package disk

import "os"

// Datasync makes all completed writes to f survive a power loss.
func Datasync(f *os.File) error { return f.Sync() }
