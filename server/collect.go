package server

import (
	"runtime"
	"runtime/debug"
)

const (
	// smallHeap is the heap size in bytes up to which no collection is needed if less than half of it is live. With it, a
	// process that receives recipient reports at full speed stays below 150 MB.
	smallHeap = 128 << 20
	// Bounds of GOGC, in percent of the live heap.
	minGCPercent, maxGCPercent = 100, 400
)

// gcPercent returns the GOGC value for a live heap of inUse bytes. The heap may then grow to the larger of small and
// twice the live heap, but at most to five times the live heap. A fixed value would collect too often while the live
// heap is small, or let a large heap grow to several times its size.
func gcPercent(inUse, small uint64) int {
	inUse = max(inUse, 1)
	return int(min(max(minGCPercent*inUse, 100*(max(small, inUse)-inUse))/inUse, maxGCPercent))
}

// tuneGC sets GOGC to the result of gcPercent after each garbage collection. small is its argument: the size of a heap,
// in bytes, up to which GOGC is high.
func tuneGC(small uint64) {
	afterEachGC(func() { debug.SetGCPercent(gcPercent(readMetric("/gc/heap/live:bytes"), small)) })
}

// afterEachGC registers a function that is called after each garbage collection, until the process ends.
func afterEachGC(do func()) {
	type sentinel struct{ _ *sentinel } // has a pointer, so that the runtime does not combine it with other small objects
	runtime.SetFinalizer(&sentinel{}, func(*sentinel) {
		do()
		afterEachGC(do)
	})
}
