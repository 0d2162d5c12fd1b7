package boltstore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fault is a fault that strace injects into system calls of a child.
type fault struct {
	name   string
	calls  string // names of the system calls
	effect string // error or signal, in strace's syntax
	last   int    // number of the last call to inject it into, one call a run
}

// runWithFault runs the child on a new directory and injects the fault into the nth of the calls (of each thread).
// injected reports whether the child made that call.
func runWithFault(
	t *testing.T, child string, f fault, nth string,
) (path string, w *transcript, exit int, injected bool) {
	t.Helper()
	dir := memory(t)
	path = filepath.Join(dir, "store")
	log := filepath.Join(dir, "strace")
	w, exit = startChild(t, "strace", "-f", "-qq", "-o", log, "-s", "0", "-e", "signal=none",
		"-e", "trace="+f.calls, "-e", fmt.Sprintf("inject=%s:%s:when=%s", f.calls, f.effect, nth),
		child, "-path", path, "-reports", "25", "-limit", "64000").wait()
	traced, err := os.ReadFile(log)
	require.NoError(t, err)
	return path, w, exit, strings.Contains(string(traced), "(INJECTED)") || exit == -1 || exit == 137
}

// requireRecovered opens the store of a child that ended, twice, and compares it with the child's output.
func requireRecovered(t *testing.T, path string, w *transcript, why string) {
	t.Helper()
	for range 2 {
		s, err := Open(t.Context(), Config{Path: path, Segment: smallSegment, Policies: testPolicy})
		require.NoError(t, err, why)
		err = attempt(func(t2 require.TestingT) { auditStore(t.Context(), t2, s, w) })
		require.NoError(t, err, "%s; the child's output:\n%s", why, strings.Join(w.lines, "\n"))
		require.NoError(t, s.Close())
	}
}

// testEachCall runs the child repeatedly, each time with the fault in a later call, until the child makes no such
// call.
func testEachCall(t *testing.T, child string, f fault, check func(t *testing.T, w *transcript, exit int)) {
	t.Helper()
	t.Run(f.name, func(t *testing.T) {
		faultyRuns, acknowledged := 0, 0
		for nth := 1; nth <= f.last; nth += 1 + nth/(6*long(20)) {
			path, w, exit, injected := runWithFault(t, child, f, fmt.Sprint(nth))
			if !injected {
				require.Zero(t, exit)
				break
			}
			faultyRuns++
			acknowledged += len(w.done)
			if check != nil {
				check(t, w, exit)
			}
			requireRecovered(t, path, w, fmt.Sprintf("%s, call %d of %s", f.name, nth, f.calls))
		}
		require.Positive(t, faultyRuns, "no fault was injected")
		require.Positive(t, acknowledged, "no arrival was acknowledged before the faults")
		t.Logf("%d runs, %d arrivals acknowledged", faultyRuns, acknowledged)
	})
}

func TestKillAtEveryWrite(t *testing.T) {
	requireStrace(t)
	t.Parallel()
	child := buildChild(t, "")
	for _, f := range []fault{
		{"at a write", "pwrite64", "signal=KILL", 70},
		{"at a sync", "fdatasync,fsync", "signal=KILL", 70},
		{"while files are made", "openat,write,linkat,renameat,unlinkat,mkdirat,ftruncate", "signal=KILL", 100},
	} {
		testEachCall(t, child, f, nil)
	}
}

// After a failed sync the content of the disk is unknown: the store must end, and every method must return the error.
func TestFailedSyncEndsTheStore(t *testing.T) {
	requireStrace(t)
	t.Parallel()
	child := buildChild(t, "")
	for _, f := range []fault{
		{"sync fails", "fdatasync,fsync", "error=EIO", 70},
		{"sync fails for want of room", "fdatasync,fsync", "error=ENOSPC", 30},
		{"write fails", "pwrite64", "error=EIO", 50},
	} {
		testEachCall(t, child, f, func(t *testing.T, w *transcript, exit int) {
			t.Helper()
			require.Contains(t, []int{3, 4}, exit, "Open fails, or the store ends")
			if exit == 4 {
				last := w.lines[len(w.lines)-1]
				require.Regexp(t, "^ended .*(input/output error|no space left on device)", last,
					"no method works any more")
			}
		})
	}
}

// While the disk is full the store refuses arrivals, and afterwards it accepts them again.
func TestFullDiskDoesNotEndTheStore(t *testing.T) {
	requireStrace(t)
	t.Parallel()
	child := buildChild(t, "")
	faultyRuns := 0
	for first := 3; first <= 11*long(4); first += 2 {
		f := fault{name: "no room", calls: "pwrite64", effect: "error=ENOSPC"}
		path, w, exit, injected := runWithFault(t, child, f, fmt.Sprintf("%d..%d", first, first+5))
		if !injected {
			continue
		}
		faultyRuns++
		why := fmt.Sprintf("the disk is full for writes %d to %d", first, first+5)
		if exit != 3 { // Open may fail
			require.Equal(t, "finished", w.lines[len(w.lines)-1], why)
			require.Zero(t, exit, why)
		}
		requireRecovered(t, path, w, why)
	}
	require.Positive(t, faultyRuns)
}
