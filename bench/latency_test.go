package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQuantilesAreWithinTheirPrecision(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var l latencies
	all := make([]time.Duration, 10_000)
	for i := range all {
		all[i] = time.Duration(math.Exp(random.Float64()*22)) + 1 // up to some seconds, mostly short
		l.add(all[i])
	}
	slices.Sort(all)
	for _, q := range []float64{0.0001, .5, .9, .99, .999, 1} {
		exact := all[int(q*float64(len(all))+.5)-1]
		require.LessOrEqual(t, l.quantile(q), exact, "q=%v", q)
		require.Greater(t, float64(l.quantile(q)), float64(exact)*(1-1.0/64), "q=%v", q)
	}
}

func TestQuantileWithoutLatencies(t *testing.T) {
	var l latencies
	require.Zero(t, l.quantile(.99))
}

func TestMerge(t *testing.T) {
	var a, b latencies
	for range 99 {
		a.add(time.Millisecond)
	}
	b.add(time.Second)
	a.merge(&b)
	require.Equal(t, 100, a.total)
	require.InEpsilon(t, time.Millisecond, a.quantile(.99), 1.0/64)
	require.InEpsilon(t, time.Second, a.quantile(1), 1.0/64)
}

func TestBuckets(t *testing.T) {
	last := -1
	for _, v := range []uint64{
		0, 1, 63, 64, 127, 128, 130, 255, 256, 1 << 20, 1<<20 + 1<<14, math.MaxInt64,
		math.MaxUint64,
	} {
		b := bucketOf(v)
		require.Greater(t, b, last, "%d", v)
		require.LessOrEqual(t, bottomOf(b), v)
		require.LessOrEqual(t, v-bottomOf(b), v>>precision, "%d", v)
		last = b
	}
	require.Less(t, last, len(latencies{}.counts))
}
