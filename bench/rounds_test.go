package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSpread(t *testing.T) {
	require.Equal(t, spread{}, spreadOf(nil))
	require.Equal(t, spread{3, 3, 3}, spreadOf([]float64{3}))
	require.Equal(t, spread{2, 1, 9}, spreadOf([]float64{9, 1, 2}))
	require.Equal(t, spread{2.5, 1, 9}, spreadOf([]float64{9, 3, 1, 2}))
}

// A ratio is taken within each round: a slow minute slows both.
func TestRatiosAreThoseOfTheRounds(t *testing.T) {
	a := []figures{{throughput: 90}, {throughput: 8}, {throughput: 700}}
	b := []figures{{throughput: 100}, {throughput: 10}, {throughput: 1000}}
	share := ratio(a, b, func(f figures) float64 { return f.throughput })
	require.InDelta(t, .8, share.median, 1e-9)
	require.InDelta(t, .7, share.least, 1e-9)
	require.InDelta(t, .9, share.largest, 1e-9)
	require.Equal(t, spread{}, ratio(a, nil, func(f figures) float64 { return f.throughput }), "nothing to compare with")
}

func TestTable(t *testing.T) {
	ms := time.Millisecond
	all := results{64: {
		subjectAppend:  {{20000, 2 * ms, 6 * ms, 9 * ms, 50 * time.Microsecond}, {10000, 4 * ms, 10 * ms, 20 * ms, 60 * time.Microsecond}},
		subjectDlrloop: {{18000, 2 * ms, 9 * ms, 15 * ms, 60 * time.Microsecond}, {8000, 5 * ms, 20 * ms, 40 * ms, 80 * time.Microsecond}},
	}}
	var out strings.Builder
	require.NoError(t, table(&out, []int{64}, []subject{subjectAppend, subjectDlrloop}, all))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 3)
	require.Equal(t, []string{"64", "append", "15000", "3.00", "8.00", "14.5", "55", "1.00", "(1.00–1.00)", "1.00", "(1.00–1.00)"}, strings.Fields(lines[1]))
	require.Equal(t, []string{"64", "dlrloop", "13000", "3.50", "14.50", "27.5", "70", "0.85", "(0.80–0.90)", "1.75", "(1.50–2.00)"}, strings.Fields(lines[2]))
}
