//go:build skipsync

package boltstore

import (
	"os"
	"sync/atomic"
)

var syncs atomic.Uint64

// datasync leaves out every second sync. This build exists to show that the power-loss test finds it; it must never
// serve.
func datasync(f *os.File) error {
	if syncs.Add(1)%2 == 0 {
		return nil
	}
	return f.Sync()
}
