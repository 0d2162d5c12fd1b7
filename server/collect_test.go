package server

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGCPercentFollowsTheLiveHeap(t *testing.T) {
	const mb = 1 << 20
	for inUse, want := range map[uint64]int{
		0: 400, 1: 400, 10 * mb: 400, 32 * mb: 300, 64 * mb: 100, 100 * mb: 100,
		1 << 40: 100,
	} {
		require.Equal(t, want, gcPercent(inUse, 128*mb), "%d MB in use", inUse/mb)
	}
	require.Equal(t, 100, gcPercent(40*mb, 0))
}

func TestAfterEachGC(t *testing.T) {
	var calls atomic.Int32
	afterEachGC(func() { calls.Add(1) })
	for n := range int32(3) {
		require.Eventually(t, func() bool {
			runtime.GC()
			return calls.Load() > n
		}, 10*time.Second, time.Millisecond)
	}
}
