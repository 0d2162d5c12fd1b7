package main

import (
	"math/bits"
	"time"
)

// precision is how many bits of a latency are kept: each is known to within 1/64 of itself.
const precision = 6

// latencies counts latencies in buckets that grow with them. The zero value is empty.
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

// quantile is the least latency that the share q of all did not exceed; 0 when there are none.
func (l *latencies) quantile(q float64) time.Duration {
	rank, seen := max(int(q*float64(l.total)+0.5), 1), 0
	for i, n := range l.counts {
		if seen += int(n); seen >= rank {
			return time.Duration(bottomOf(i))
		}
	}
	return 0
}

// bucketOf gives small values a bucket each; of larger ones those that share their first bits are in one.
func bucketOf(v uint64) int {
	shift := max(bits.Len64(v)-precision-1, 0)
	return shift<<precision + int(v>>shift)
}

// bottomOf is the least value in a bucket.
func bottomOf(bucket int) uint64 {
	shift := max(bucket>>precision-1, 0)
	return uint64(bucket-shift<<precision) << shift
}
