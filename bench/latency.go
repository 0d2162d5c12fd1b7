package main

import (
	"math/bits"
	"time"
)

// precision determines how narrow the histogram buckets are. The response times from one power of two to the next, such
// as 256 to 511 ns, are divided into 1<<precision (64) buckets. A response time read from the histogram is therefore at
// most 1/64 too low.
const precision = 6

// latencies is a histogram of response times. Its buckets are so narrow that the results of method quantile are at most
// 1/64 too low. The zero value is empty and ready to use. It is not safe for concurrent use.
type latencies struct {
	counts [(64 - precision + 1) << precision]uint32
	total  int
}

func (l *latencies) add(d time.Duration) {
	l.counts[bucketOf(uint64(max(d, 0)))]++
	l.total++
}

func (l *latencies) merge(o *latencies) {
	for i, n := range o.counts {
		l.counts[i] += n
	}
	l.total += o.total
}

// quantile returns a quantile of the response times, with q from 0 to 1: for q = 0.99, the 99th percentile. The result
// is at most 1/64 too low. It is 0 if the histogram is empty.
func (l *latencies) quantile(q float64) time.Duration {
	rank, counted := max(int(q*float64(l.total)+0.5), 1), 0
	for i, n := range l.counts {
		if counted += int(n); counted >= rank {
			return time.Duration(bottomOf(i))
		}
	}
	return 0
}

// bucketOf returns the index of the histogram bucket that counts a response time in nanoseconds. Each time below 128 ns
// has a bucket of its own. Above, the times in one bucket differ by less than 1/64 of the shortest of them.
func bucketOf(latency uint64) int {
	shift := max(bits.Len64(latency)-precision-1, 0)
	return shift<<precision + int(latency>>shift) // selected by the bit length and the seven leading bits
}

// bottomOf returns the shortest response time, in nanoseconds, that the histogram bucket with this index counts.
func bottomOf(bucket int) uint64 {
	shift := max(bucket>>precision-1, 0)
	return uint64(bucket-shift<<precision) << shift
}
