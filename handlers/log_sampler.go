package handlers

import (
	"sync/atomic"
	"time"
)

// logEvery is how often one kind of problem is logged. Callbacks come by the thousand, and all of them fail alike; the metrics
// count every one.
const logEvery = 5 * time.Second

// sparing keeps a log readable when everything fails: of each kind it lets one line through in a while.
type logSampler struct {
	kinds [len(kinds)]struct {
		last     atomic.Int64 // Unix nanoseconds
		unlogged atomic.Int64
	}
}

// log reports whether to log a problem of this kind now, and how many were not logged since the last one.
func (s *logSampler) allow(k kind) (unlogged int64, ok bool) {
	of, now := &s.kinds[k], time.Now().UnixNano()
	last := of.last.Load()
	if now-last < int64(logEvery) || !of.last.CompareAndSwap(last, now) {
		of.unlogged.Add(1)
		return 0, false
	}
	return of.unlogged.Swap(0), true
}
