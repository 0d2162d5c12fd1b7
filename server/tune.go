package server

import (
	"cmp"
	"os"
	"runtime"
	"runtime/debug"
)

// Tune sets what the Go runtime is to do with the machine, but for what the environment (GOMAXPROCS, GOGC, GOMEMLIMIT) says of it.
// Call it once, when the process starts.
//
// Go code runs on one thread more than there are processors. A thread that waits for a sync of the disk keeps its share of the
// scheduler until the runtime takes it back, which may be long after the sync began. With two processors that is half of
// all there is, several hundred times a second.
//
// Garbage is collected when there is four times as much as what is in use, which is little, and sooner when all together come near
// to four times what the bodies of callbacks may take (bodies, in bytes), which is more than is ever in use.
func Tune(bodies int64) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
	if cmp.Or(os.Getenv("GOGC"), os.Getenv("GOMEMLIMIT")) == "" {
		debug.SetGCPercent(400)
		debug.SetMemoryLimit(4 * bodies)
	}
}
