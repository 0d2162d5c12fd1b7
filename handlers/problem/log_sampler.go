package problem

import (
	"sync/atomic"
	"time"
)

// LogEvery is the minimum time between two log lines that LogSampler allows about problems of the same kind.
const LogEvery = 5 * time.Second

// LogSampler limits how often problems are logged. It allows one log line about each kind of problem every five seconds
// (LogEvery), and counts the problems that are not logged. The zero value is ready to use. A LogSampler is safe for
// concurrent use.
type LogSampler struct {
	kinds [len(kinds)]struct {
		last     atomic.Int64 // Unix nanoseconds
		unlogged atomic.Int64
	}
}

// Allow reports whether a problem of kind k may be logged now. If ok is true, unlogged is how many problems of kind k
// Allow has refused since it last returned true for k. If ok is false, unlogged is 0, and the problem is counted as
// refused.
func (s *LogSampler) Allow(k Kind) (unlogged int64, ok bool) {
	of, now := &s.kinds[k], time.Now().UnixNano()
	last := of.last.Load()
	if now-last < int64(LogEvery) || !of.last.CompareAndSwap(last, now) {
		of.unlogged.Add(1)
		return 0, false
	}
	return of.unlogged.Swap(0), true
}
