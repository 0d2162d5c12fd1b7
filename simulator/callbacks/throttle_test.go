package callbacks

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestThrottleEnds(t *testing.T) {
	var limit throttle
	now := time.Unix(1000, 0)
	for range 64 {
		require.Zero(t, limit.reserve(now))
	}
	limit.slowDown(now)
	limit.slowDown(now)
	require.InDelta(t, 32, float64(limit.limiter.Limit()), 0.1, "several 429 within a second must halve the rate once")
	limit.slowDown(now.Add(time.Second))
	require.InDelta(t, 16, float64(limit.limiter.Limit()), 0.1)
	require.Zero(t, limit.reserve(now.Add(time.Second)))
	require.Equal(t, time.Second/16, limit.reserve(now.Add(time.Second)).Round(time.Millisecond/2))
	require.Zero(t, limit.reserve(now.Add(time.Hour)))
	require.Nil(t, limit.limiter)
}
