package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const status = `Name:	dlrloop
VmPeak:	 2517024 kB
VmSize:	 2517024 kB
VmHWM:	  203604 kB
VmRSS:	  150000 kB
RssAnon:	  100000 kB
RssFile:	   50000 kB
RssShmem:	       0 kB
Threads:	9
`

func TestParseStatus(t *testing.T) {
	m, err := parseStatus([]byte(status))
	require.NoError(t, err)
	require.Equal(t, memory{anon: 100000 << 10, files: 50000 << 10, highWater: 203604 << 10}, m)
	for name, text := range map[string]string{
		"ended":   "Name:	dlrloop\nState:	Z (zombie)\n",
		"empty":   "",
		"no unit": strings.Replace(status, "100000 kB", "100000", 1),
		"no size": strings.Replace(status, "100000 kB", "many kB", 1),
		"partial": status[:strings.Index(status, "RssFile")],
	} {
		_, err := parseStatus([]byte(text))
		require.ErrorContains(t, err, "read the memory of a process", name)
	}
}

func TestPeakKeepsMaximumOfSamples(t *testing.T) {
	var p peak
	for _, m := range []memory{{1, 9, 10}, {7, 1, 11}, {2, 2, 11}} {
		p.add(m)
	}
	require.Equal(t, peak{anon: 7, highWater: 11, samples: 3}, p)
}

func TestDuringMeasuresAllocations(t *testing.T) {
	before, err := readMemory(os.Getpid())
	require.NoError(t, err)
	const size = 64 << 20
	p, err := during(t.Context(), os.Getpid(), func() error {
		touched := make([]byte, size)
		for i := 0; i < size; i += os.Getpagesize() {
			touched[i] = 1
		}
		// Wait until a sample has seen the allocation.
		return readUntil(t.Context(), func(m memory) bool { return m.anon >= before.anon+size/2 && touched[0] == 1 })
	})
	require.NoError(t, err)
	require.Positive(t, p.samples)
	require.Greater(t, p.highWater, before.anon+size/2)
}

// readUntil reads this process's memory until expected returns true.
func readUntil(ctx context.Context, expected func(memory) bool) error {
	for ctx.Err() == nil {
		m, err := readMemory(os.Getpid())
		if err != nil || expected(m) {
			return err
		}
	}
	return ctx.Err()
}

func TestWatchOfUnknownProcess(t *testing.T) {
	_, err := watch(t.Context(), 1<<30)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestDiskUsageSumsAllFiles(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "journal"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), make([]byte, 1000), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "journal", "b"), make([]byte, 24), 0o644))
	size, err := diskUsage(dir)
	require.NoError(t, err)
	require.Equal(t, int64(1024), size)
	_, err = diskUsage(filepath.Join(dir, "missing"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-stored", "10000,2000", "-limit", "256MiB,1GiB"})
	require.NoError(t, err)
	require.Equal(t, []int{2000, 10000}, o.stored)
	require.Equal(t, []string{"256MiB", "1GiB"}, o.limits)
	for _, arguments := range [][]string{{"-stored", "999"}, {"-stored", "1e6"}, {"-stored", ""}, {"-settle", "0s"}} {
		_, err := parse(arguments)
		require.Error(t, err, "%q", arguments)
	}
}

func TestSmallRun(t *testing.T) {
	dir := t.TempDir()
	o := options{
		stored: []int{2000}, limits: []string{"256MiB", "512MiB"}, dir: dir,
		ingestFor: 100 * time.Millisecond, burstFor: 100 * time.Millisecond, settle: time.Millisecond,
	}
	all, _, err := o.measureAll(t.Context(), t.Logf)
	require.NoError(t, err)
	require.Len(t, all, 2)
	for i, f := range all {
		require.Equal(t, o.limits[i], f.limit)
		for what, bytes := range map[string]int64{
			"idle": f.idle.anon, "ingest": f.ingest.anon, "burst": f.burst.anon, "left": f.remaining,
			"start":    f.start.peak.anon,
			"database": f.database, "journal": f.journal,
		} {
			require.Positive(t, bytes, what)
		}
		require.GreaterOrEqual(t, f.start.read, f.start.ready)
		require.Positive(t, f.full.recipients.Load())
		require.Positive(t, f.ingested.calls.Load())
	}
	var text strings.Builder
	memoryTable(&text, all)
	diskTable(&text, all)
	require.Equal(t, 2*(2+2), strings.Count(text.String(), "\n"), text.String())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "the run must remove everything that it wrote")
}
