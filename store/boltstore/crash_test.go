package boltstore

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// blow is a fault that strace injects into a child.
type blow struct {
	name  string
	calls string // system calls it strikes
	fault string // what happens to them
	most  int    // the last of them that is struck, one a run
}

// struck runs the child on a new folder, with the nth of the calls (of each thread) struck, and returns where, what the
// child said, its exit code and whether any call was struck.
func struck(t *testing.T, child string, b blow, nth string) (path string, w *witness, exit int, hit bool) {
	t.Helper()
	folder := memory(t)
	path = filepath.Join(folder, "store")
	log := filepath.Join(folder, "strace")
	w, exit = startChild(t, "strace", "-f", "-qq", "-o", log, "-s", "0", "-e", "signal=none",
		"-e", "trace="+b.calls, "-e", fmt.Sprintf("inject=%s:%s:when=%s", b.calls, b.fault, nth),
		child, "-path", path, "-reports", "25", "-limit", "64000").said()
	traced, err := os.ReadFile(log)
	require.NoError(t, err)
	return path, w, exit, strings.Contains(string(traced), "(INJECTED)") || exit == -1 || exit == 137
}

// survived opens what a child left behind and requires all of it; then it opens it once more.
func survived(t *testing.T, path string, w *witness, why string) {
	t.Helper()
	for range 2 {
		s, err := Open(t.Context(), Config{Path: path, Segment: smallSegment, Policies: asking})
		require.NoError(t, err, why)
		err = attempt(func(t2 require.TestingT) { auditStore(t.Context(), t2, s, w) })
		require.NoError(t, err, "%s; the child said:\n%s", why, strings.Join(w.lines, "\n"))
		require.NoError(t, s.Close())
	}
}

// strikes runs the child again and again, each time with a later call struck, until none is any more.
func strikes(t *testing.T, child string, b blow, check func(t *testing.T, w *witness, exit int)) {
	t.Helper()
	t.Run(b.name, func(t *testing.T) {
		struckRuns, acknowledged := 0, 0
		for nth := 1; nth <= b.most; nth += 1 + nth/(6*long(20)) {
			path, w, exit, hit := struck(t, child, b, fmt.Sprint(nth))
			if !hit {
				require.Zero(t, exit)
				break
			}
			struckRuns++
			acknowledged += len(w.done)
			if check != nil {
				check(t, w, exit)
			}
			survived(t, path, w, fmt.Sprintf("%s, call %d of %s", b.name, nth, b.calls))
		}
		require.Positive(t, struckRuns, "nothing was struck")
		require.Positive(t, acknowledged, "nothing was acknowledged before")
		t.Logf("%d runs, %d arrivals acknowledged", struckRuns, acknowledged)
	})
}

func TestKilledAtAnyWrite(t *testing.T) {
	needStrace(t)
	t.Parallel()
	child := buildChild(t, "")
	for _, b := range []blow{
		{"at a write", "pwrite64", "signal=KILL", 70},
		{"at a sync", "fdatasync,fsync", "signal=KILL", 70},
		{"while files are made", "openat,write,linkat,renameat,unlinkat,mkdirat,ftruncate", "signal=KILL", 100},
	} {
		strikes(t, child, b, nil)
	}
}

// After a failed sync nobody knows what is on disk: the store ends, and says so to everybody.
func TestFailedSyncEndsTheStore(t *testing.T) {
	needStrace(t)
	t.Parallel()
	child := buildChild(t, "")
	for _, b := range []blow{
		{"sync fails", "fdatasync,fsync", "error=EIO", 70},
		{"sync fails for want of room", "fdatasync,fsync", "error=ENOSPC", 30},
		{"write fails", "pwrite64", "error=EIO", 50},
	} {
		strikes(t, child, b, func(t *testing.T, w *witness, exit int) {
			t.Helper()
			require.Contains(t, []int{3, 4}, exit, "it refuses to start, or ends")
			if exit == 4 {
				last := w.lines[len(w.lines)-1]
				require.Regexp(t, "^ended .*(input/output error|no space left on device)", last, "and nothing works any more")
			}
		})
	}
}

// A disk that is full for a while refuses what there is no room for, and keeps the rest; then all goes on.
func TestFullDiskIsNoEnd(t *testing.T) {
	needStrace(t)
	t.Parallel()
	child := buildChild(t, "")
	struckRuns := 0
	for first := 3; first <= 11*long(4); first += 2 {
		b := blow{name: "no room", calls: "pwrite64", fault: "error=ENOSPC"}
		path, w, exit, hit := struck(t, child, b, fmt.Sprintf("%d..%d", first, first+5))
		if !hit {
			continue
		}
		struckRuns++
		why := fmt.Sprintf("no room for writes %d to %d", first, first+5)
		if exit != 3 { // a start may refuse
			require.Equal(t, "finished", w.lines[len(w.lines)-1], why)
			require.Zero(t, exit, why)
		}
		survived(t, path, w, why)
	}
	require.Positive(t, struckRuns)
}
