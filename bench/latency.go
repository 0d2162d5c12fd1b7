package main

import (
	"math/bits"
	"time"
)

// precision is how many bits after the leading 1 bit of a latency select its bucket in the histogram. It limits the
// relative error to 1/64.
const precision = 6

// latencies is a histogram of latencies with a bounded relative error. The zero value is empty and ready to use.
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

// quantile returns the q-quantile of the latencies (p99 for q = 0.99), rounded down to the smallest latency of its
// bucket. It returns 0 if the histogram is empty.
func (l *latencies) quantile(q float64) time.Duration {
	rank, counted := max(int(q*float64(l.total)+0.5), 1), 0
	for i, n := range l.counts {
		if counted += int(n); counted >= rank {
			return time.Duration(bottomOf(i))
		}
	}
	return 0
}

// bucketOf returns the index of the bucket that counts v, a latency in nanoseconds. Each value below 128 has a bucket
// of its own. Larger values share a bucket if they have the same bit length and the same seven leading bits.
func bucketOf(v uint64) int {
	shift := max(bits.Len64(v)-precision-1, 0)
	return shift<<precision + int(v>>shift)
}

// bottomOf returns the smallest latency, in nanoseconds, that the bucket with this index counts.
func bottomOf(bucket int) uint64 {
	shift := max(bucket>>precision-1, 0)
	return uint64(bucket-shift<<precision) << shift
}
