package problem

import (
	"sync/atomic"
	"time"
)

// LogEvery is the minimum time between two log lines that LogSampler allows about problems of the same kind.
const LogEvery = 5 * time.Second

// LogSampler allows one log line about each kind of problem every five seconds (LogEvery) and counts those that it
// refuses. The zero value is ready to use. It is safe for concurrent use.
type LogSampler struct {
	kinds [len(kinds)]struct {
		last     atomic.Int64 // Unix nanoseconds
		unlogged atomic.Int64
	}
}

// Allow reports whether a problem of kind k may be logged now. If so, unlogged is how many problems of this kind were
// not logged since the last one that was. Otherwise it counts the problem and returns 0 and false.
func (s *LogSampler) Allow(k Kind) (unlogged int64, ok bool) {
	of, now := &s.kinds[k], time.Now().UnixNano()
	last := of.last.Load()
	if now-last < int64(LogEvery) || !of.last.CompareAndSwap(last, now) {
		of.unlogged.Add(1)
		return 0, false
	}
	return of.unlogged.Swap(0), true
}
