package main

import (
	"math/bits"
	"time"
)

// precision is the number of significant bits that the histogram keeps of a latency: the relative error is at most
// 1/64.
const precision = 6

// latencies is a histogram with exponentially growing buckets. The zero value is empty.
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

// quantile returns the latency that the fraction q (0 to 1) of all latencies did not exceed, or 0 if the histogram is
// empty.
func (l *latencies) quantile(q float64) time.Duration {
	rank, counted := max(int(q*float64(l.total)+0.5), 1), 0
	for i, n := range l.counts {
		if counted += int(n); counted >= rank {
			return time.Duration(bottomOf(i))
		}
	}
	return 0
}

// bucketOf returns the index of the bucket of v. Each small value has a bucket of its own; larger values are in the
// same bucket if their leading bits agree.
func bucketOf(v uint64) int {
	shift := max(bits.Len64(v)-precision-1, 0)
	return shift<<precision + int(v>>shift)
}

// bottomOf returns the smallest value in the bucket with this index.
func bottomOf(bucket int) uint64 {
	shift := max(bucket>>precision-1, 0)
	return uint64(bucket-shift<<precision) << shift
}
