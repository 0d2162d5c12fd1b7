package server

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestGarbageFollowsWhatIsInUse(t *testing.T) {
	const mb = 1 << 20
	for inUse, want := range map[uint64]int{0: 400, 1: 400, 10 * mb: 400, 32 * mb: 300, 64 * mb: 100, 100 * mb: 100, 1 << 40: 100} {
		require.Equal(t, want, garbage(inUse, 128*mb), "%d MB in use", inUse/mb)
	}
	require.Equal(t, 100, garbage(40*mb, 0))
}

func TestEachCollectionIsNoticed(t *testing.T) {
	var noticed atomic.Int32
	eachCollection(func() { noticed.Add(1) })
	for n := range int32(3) {
		require.Eventually(t, func() bool {
			runtime.GC()
			return noticed.Load() > n
		}, 10*time.Second, time.Millisecond)
	}
}
