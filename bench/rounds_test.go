package main

import (
	"os"
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

// TestRatioComparesWithinRounds checks that a figure is compared only with the same round's: a slow minute affects
// both.
func TestRatioComparesWithinRounds(t *testing.T) {
	a := []figures{{throughput: 90}, {throughput: 8}, {throughput: 700}}
	b := []figures{{throughput: 100}, {throughput: 10}, {throughput: 1000}}
	s := ratio(a, b, func(f figures) float64 { return f.throughput })
	require.InDelta(t, .8, s.median, 1e-9)
	require.InDelta(t, .7, s.least, 1e-9)
	require.InDelta(t, .9, s.largest, 1e-9)
	require.Equal(t, spread{}, ratio(a, nil, func(f figures) float64 { return f.throughput }),
		"the ratio to a subject without rounds must be empty")
}

func TestTable(t *testing.T) {
	ms := time.Millisecond
	f := func(throughput float64, p50, p99, p999, cpu time.Duration) figures {
		return figures{throughput: throughput, p50: p50, p99: p99, p999: p999, cpu: cpu}
	}
	all := results{64: {
		subjectAppend: {
			f(20000, 2*ms, 6*ms, 9*ms, 50*time.Microsecond),
			f(10000, 4*ms, 10*ms, 20*ms, 60*time.Microsecond),
		},
		subjectDlrloop: {
			f(18000, 2*ms, 9*ms, 15*ms, 60*time.Microsecond),
			f(8000, 5*ms, 20*ms, 40*ms, 80*time.Microsecond),
		},
		subjectPostgres: {
			f(9000, 4*ms, 18*ms, 30*ms, 90*time.Microsecond),
			f(4800, 5*ms, 20*ms, 40*ms, 90*time.Microsecond),
		},
	}}
	all[64][subjectDlrloop][0].waiting, all[64][subjectDlrloop][1].waiting = 8, 16
	var out strings.Builder
	require.NoError(t, table(&out, []int{64}, []subject{subjectAppend, subjectDlrloop, subjectPostgres}, all))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 4)
	require.Equal(t,
		[]string{
			"64", "append", "15000", "3.00", "8.00", "14.5", "55", "0", "1.00", "(1.00–1.00)", "1.00",
			"(1.00–1.00)",
		}, strings.Fields(lines[1])[:12])
	require.Equal(t,
		[]string{
			"64", "dlrloop", "13000", "3.50", "14.50", "27.5", "70", "12", "0.85", "(0.80–0.90)", "1.75",
			"(1.50–2.00)",
		}, strings.Fields(lines[2])[:12])
	require.Equal(t, []string{"0.55", "(0.50–0.60)", "1.00", "(1.00–1.00)"}, strings.Fields(lines[3])[12:])

	out.Reset()
	delete(all[64], subjectAppend)
	require.NoError(t, table(&out, []int{64}, []subject{subjectDlrloop}, all))
	require.Contains(t, out.String(), "–", "a ratio to a subject that was not measured must be a dash")
}

func TestDatabaseTable(t *testing.T) {
	used := usage{cpu: 100 * time.Millisecond, wal: 1_200_000, table: 600_000, indexes: 250_000, connections: 4}
	all := results{64: {subjectPostgres: {{cpu: 90 * time.Microsecond, reports: 1000, database: used}}}}
	var out strings.Builder
	require.NoError(t, databaseTable(&out, []int{64}, []subject{subjectDlrloop, subjectPostgres}, all))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 2, "only subjects on PostgreSQL must be listed")
	require.Equal(t, []string{"64", "postgres", "90", "100", "1200", "600", "250", "4"}, strings.Fields(lines[1]))
}

// TestProcessorTime checks that an unknown process gives an error, not 0.
func TestProcessorTime(t *testing.T) {
	used, err := processorTime(os.Getpid())
	require.NoError(t, err)
	require.GreaterOrEqual(t, used, time.Duration(0))
	_, err = processorTime(1 << 30)
	require.ErrorContains(t, err, "not in /proc")
}
