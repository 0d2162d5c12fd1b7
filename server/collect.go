package server

import (
	"runtime"
	"runtime/debug"
)

const (
	// smallHeap is how large the heap may grow before garbage is collected while less than half of it is in use, so that a process that
	// takes recipient reports as fast as it can stays below 150 MB.
	smallHeap = 128 << 20
	// Bounds of GOGC: garbage in percent of what is in use.
	leastGarbage, mostGarbage = 100, 400
)

// garbage returns the GOGC for a heap of which so many bytes are in use: the heap grows to the larger of small and twice what is in use,
// but to five times at most. A fixed one would either collect often while little is in use, or let the heap grow to a multiple of a step
// of the fold.
func garbage(inUse, small uint64) int {
	inUse = max(inUse, 1)
	return int(min(max(leastGarbage*inUse, 100*(max(small, inUse)-inUse))/inUse, mostGarbage))
}

// tuneCollections sets GOGC anew after each collection, by what that found in use.
func tuneCollections(small uint64) {
	eachCollection(func() { debug.SetGCPercent(garbage(readMetric("/gc/heap/live:bytes"), small)) })
}

// eachCollection calls do after each collection of garbage, for as long as the process lives.
func eachCollection(do func()) {
	type found struct{ _ *found } // a pointer, so that it shares its memory with nothing
	runtime.SetFinalizer(&found{}, func(*found) {
		do()
		eachCollection(do)
	})
}
