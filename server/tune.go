package server

import (
	"os"
	"runtime"
	"runtime/debug"

	"github.com/dlrloop/dlrloop/config"
)

// Tune sets the processor count, garbage collection and memory limit of Go's runtime, except those set by the
// environment (GOMAXPROCS, GOGC, GOMEMLIMIT). The memory limit becomes four fifths of memory.limit. Call Tune once, at
// the start of the process.
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
