package relay

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestDelayIsFullJitterWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Backoff{
			Base: time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "base")),
			Cap:  time.Duration(rapid.Int64Range(int64(time.Minute), int64(24*time.Hour)).Draw(t, "cap")),
		}
		attempts := rapid.IntRange(0, math.MaxInt32).Draw(t, "attempts")
		random := rapid.Float64Range(0, 0.999999).Draw(t, "random")
		retryAfter := time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "retry after"))

		most := b.Cap
		if attempts < 40 && b.Base <= b.Cap>>attempts {
			most = b.Base << attempts
		}
		d := b.Delay(attempts, 0, random)
		require.GreaterOrEqual(t, d, time.Duration(0))
		require.LessOrEqual(t, d, most)
		require.InDelta(t, random*float64(most), float64(d), 1+1e-9*float64(most))
		require.Equal(t, max(d, retryAfter), b.Delay(attempts, retryAfter, random))
	})
}
