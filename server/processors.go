package server

import (
	"os"
	"runtime"
)

// SpareProcessor lets Go code run on one thread more than there are processors, unless GOMAXPROCS is set in the
// environment. Call it once, when the process starts.
//
// A thread that waits for a sync of the disk keeps its share of the scheduler until the runtime takes it back, which may
// be long after the sync began. With two processors that is half of all there is, several hundred times a second.
func SpareProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}
