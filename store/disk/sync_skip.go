//go:build skipsync

package disk

import (
	"os"
	"sync/atomic"
)

var syncs atomic.Uint64

// Datasync skips every second sync. This build exists only to show that the power-loss test detects a missing sync;
// never use it in production.
func Datasync(f *os.File) error {
	if syncs.Add(1)%2 == 0 {
		return nil
	}
	return f.Sync()
}
