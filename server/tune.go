package server

import (
	"os"
	"runtime"
	"runtime/debug"

	"github.com/dlrloop/dlrloop/config"
)

// Tune sets the Go runtime's parameters for c, except those that the environment sets (GOMAXPROCS, GOGC, GOMEMLIMIT).
// Call it once, at the start of the process. The runtime's memory limit becomes its share of the setting memory.limit.
func Tune(c *config.Config) {
	if os.Getenv("GOMAXPROCS") == "" {
		// A thread that waits for a disk sync keeps its processor slot until the scheduler takes it back, possibly long
		// after the sync began. With two processors that blocks half of the slots, several hundred times per second.
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(sharesOf(c).heap)
	}
	if os.Getenv("GOGC") == "" {
		tuneGC(min(uint64(sharesOf(c).heap/3), smallHeap))
	}
}
