package server

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMemoryIsReleasedOnceAfterABurst(t *testing.T) {
	const mega = 1 << 20
	r := releaser{least: 20 * mega}
	require.False(t, r.due(1*mega, 21*mega), "idle")
	require.False(t, r.due(900*mega, 180*mega), "during the burst")
	require.False(t, r.due(960*mega, 181*mega), "still during the burst")
	require.True(t, r.due(961*mega, 181*mega))
	r.least = 40 * mega // memory held after the release
	require.False(t, r.due(962*mega, 45*mega), "already released")
	require.False(t, r.due(963*mega, 30*mega))
	require.True(t, r.due(964*mega, 70*mega))
}

func TestHeldMemoryFallsWithARelease(t *testing.T) {
	before := heldMemory()
	burst := make([]byte, 64<<20)
	for i := range burst {
		burst[i] = 1
	}
	held := heldMemory()
	require.Greater(t, held, before+(32<<20))
	burst = nil
	_ = burst
	debug.FreeOSMemory()
	require.Less(t, heldMemory(), held-(32<<20))
}
