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

// gcPercent returns the value of GOGC after a garbage collection that left inUse bytes in the heap. The next collection
// then starts when the heap reaches twice inUse or floor bytes, whichever is more, but at most five times inUse. A
// fixed value would collect too often while the heap is small, or let a large heap grow to several times its size.
func gcPercent(inUse, floor uint64) int {
	inUse = max(inUse, 1)
	return int(min(max(minGCPercent*inUse, 100*(max(floor, inUse)-inUse))/inUse, maxGCPercent))
}

// tuneGC makes the runtime adapt GOGC to the size of the heap, until the process ends: after each garbage collection,
// it calls gcPercent with the bytes in use and floor, and sets GOGC to the result.
func tuneGC(floor uint64) {
	afterEachGC(func() { debug.SetGCPercent(gcPercent(readMetric("/gc/heap/live:bytes"), floor)) })
}

// afterEachGC makes the runtime call a function after each garbage collection, until the process ends. The function
// must not block.
func afterEachGC(do func()) {
	type sentinel struct{ _ *sentinel } // has a pointer, so that the runtime does not combine it with other small objects
	runtime.SetFinalizer(&sentinel{}, func(*sentinel) {
		do()
		afterEachGC(do)
	})
}
