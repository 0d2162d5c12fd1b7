package random

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDecisionsMatchTheirProbability(t *testing.T) {
	d := New(42)
	hit := 0
	for i := range 20000 {
		if d.Float64("x", Subject{Plan: "p", Batch: uint64(i / 100), Recipient: fmt.Sprint(i % 100)}) < 0.1 {
			hit++
		}
	}
	require.InDelta(t, 2000, hit, 200)
	require.NotEqual(t, d.Uint64("ab", Subject{Plan: "c"}), d.Uint64("a", Subject{Plan: "bc"}))
	require.NotEqual(t, d.Uint64("a", Subject{Batch: 1}), d.Uint64("a", Subject{Turn: 1}))
}
