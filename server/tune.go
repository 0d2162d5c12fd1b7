package server

import (
	"os"
	"runtime"
	"runtime/debug"

	"github.com/dlrloop/dlrloop/config"
)

// Tune sets what the Go runtime is to do with the machine, but for what the environment (GOMAXPROCS, GOGC, GOMEMLIMIT) says of it.
// Call it once, when the process starts.
//
// Go code runs on one thread more than there are processors. A thread that waits for a sync of the disk keeps its share of the
// scheduler until the runtime takes it back, which may be long after the sync began. With two processors that is half of
// all there is, several hundred times a second.
//
// The runtime keeps below its share of memory.limit. Well below it, GOGC follows what is in use: see garbage.
func Tune(c *config.Config) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(sharesOf(c).heap)
	}
	if os.Getenv("GOGC") == "" {
		tuneCollections(min(uint64(sharesOf(c).heap/3), smallHeap))
	}
}
