package server

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// releaseEvery is how often the process is looked at.
	releaseEvery = 5 * time.Second
	// idleBytes is how much memory an idle process allocates in that time, at most: scrapes and a few callbacks.
	idleBytes = 8 << 20
	// releaseBytes is how much memory a burst leaves that is worth giving back.
	releaseBytes = 32 << 20
)

// releases decides when to give memory back to the system: once after a burst, when nothing else happens. Go's runtime does it by
// itself only after minutes, since an idle process makes no garbage that has to be collected.
type releases struct {
	allocated uint64 // in all, when the process was last looked at
	least     uint64 // held since the last release
}

// due reports whether a process that has allocated so many bytes in all and holds so many is idle and holds what a burst left.
func (r *releases) due(allocated, held uint64) bool {
	idle := allocated-r.allocated < idleBytes
	r.allocated, r.least = allocated, min(r.least, held)
	return idle && held > r.least+releaseBytes
}

// release gives memory back to the system after bursts, until ctx ends.
func (s *Server) release(ctx context.Context) error {
	r := releases{least: heldMemory()}
	ticker := time.NewTicker(releaseEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		if r.due(readMetric("/gc/heap/allocs:bytes"), heldMemory()) {
			debug.FreeOSMemory()
			r.least = heldMemory()
		}
	}
}

// heldMemory is what Go's runtime has of the system's memory.
func heldMemory() uint64 {
	return readMetric("/memory/classes/total:bytes") - readMetric("/memory/classes/heap/released:bytes")
}

func readMetric(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
