package server

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// releaseEvery is the interval between two checks.
	releaseEvery = 5 * time.Second
	// idleBytes is the most that an idle process allocates in an interval, for scrapes and a few callbacks.
	idleBytes = 8 << 20
	// releaseBytes is the least memory that is worth returning to the system.
	releaseBytes = 32 << 20
)

// releaser decides when to return memory to the operating system: when the process is idle after a burst of load. Go's
// runtime alone would keep the memory for minutes.
type releaser struct {
	allocated uint64 // total bytes allocated at the last check
	least     uint64 // lowest number of bytes held since the last release
}

// due reports whether to release memory: if the process has allocated little since the previous call, and holds at
// least releaseBytes more than its smallest size since the last release. allocated is the number of bytes that the
// process has allocated since its start; held is the number of bytes that it holds now.
func (r *releaser) due(allocated, held uint64) bool {
	idle := allocated-r.allocated < idleBytes
	r.allocated, r.least = allocated, min(r.least, held)
	return idle && held > r.least+releaseBytes
}

// release returns unused memory to the operating system after bursts of load. It blocks until ctx ends, and then
// returns nil.
func (s *Server) release(ctx context.Context) error {
	r := releaser{least: heldMemory()}
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

// heldMemory returns how many bytes Go's runtime has taken from the operating system and not returned.
func heldMemory() uint64 {
	return readMetric("/memory/classes/total:bytes") - readMetric("/memory/classes/heap/released:bytes")
}

func readMetric(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
