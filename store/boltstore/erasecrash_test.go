package boltstore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// erasing returns the number that a child has begun to erase, or "" if none, and whether it has finished that.
func (w *transcript) erasing() (number string, erased bool) {
	for _, line := range w.lines {
		if rest, ok := strings.CutPrefix(line, "erase "); ok {
			number = rest
		}
		erased = erased || strings.HasPrefix(line, "erased ")
	}
	return number, erased
}

// requireErasable requires that a store, in which a crash may have interrupted Erase, has everything that was
// acknowledged, and that a second Erase completes the first one.
func requireErasable(ctx context.Context, t *testing.T, t2 require.TestingT, s *Store, path string, w *transcript) {
	a := auditState(ctx, t2, s, w)
	number, erased := w.erasing()
	if number == "" {
		a.events()
		return
	}
	trace := [][]byte{[]byte(number)}
	if erased {
		require.Empty(t2, countTraces(t, path, trace), "Erase has returned")
	}
	_, err := s.Erase(ctx, number)
	require.NoError(t2, err)
	require.Empty(t2, countTraces(t, path, trace))
	auditState(ctx, t2, s, w)
	_, err = readAll(t, s)
	require.NoError(t2, err)
	done, err := s.Erase(ctx, number)
	require.NoError(t2, err)
	require.Zero(t2, done)
}

// Power is lost while a child erases a number and records reports.
func TestPowerLossDuringErase(t *testing.T) {
	requireStrace(t)
	t.Parallel()
	r := run{base: memory(t)}
	child := buildChild(t, "")
	require.Zero(t, r.trace(t, child, nil, "-reports", "25"))
	require.Zero(t, r.trace(t, child, nil, "-reports", "15", "-erase"))
	opened := 0
	r.check = func(t2 require.TestingT, s *Store, path string, w *transcript) {
		if number, _ := w.erasing(); number != "" {
			opened++
		}
		requireErasable(t.Context(), t, t2, s, path, w)
	}
	seed := uint64(time.Now().UnixNano())
	p, err := r.losePower(t, seed, 60*long(75))
	require.NoError(t, err, "seed %d", seed)
	require.Positive(t, opened)
	t.Logf("%s; in %d the child had begun to erase", p, opened)
}

// A child is killed at each of its writes and syncs while it erases a number and records reports.
func TestKillDuringErase(t *testing.T) {
	requireStrace(t)
	t.Parallel()
	child := buildChild(t, "")
	base := filepath.Join(memory(t), "store")
	first, exit := startChild(t, child, "-path", base, "-reports", "25").wait()
	require.Zero(t, exit)
	for _, calls := range []string{"pwrite64", "fdatasync,fsync"} {
		interrupted := 0
		for nth := 2; ; nth += 1 + nth/(3*long(16)) {
			path := filepath.Join(memory(t), "store")
			require.NoError(t, os.CopyFS(path, os.DirFS(base)))
			w, exit := startChild(t, "strace", "-f", "-qq", "-o", os.DevNull, "-e", "signal=none", "-e", "trace="+calls,
				"-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", calls, nth),
				child, "-path", path, "-generation", "2", "-reports", "10", "-erase").wait()
			all := newTranscript()
			for _, line := range append(append([]string(nil), first.lines...), w.lines...) {
				all.add(line)
			}
			if number, erased := all.erasing(); number != "" && !erased {
				interrupted++
			}
			s, err := Open(t.Context(), Config{Path: path, Segment: 16 << 10, JournalLimit: 128 << 10, Policies: testPolicy})
			require.NoError(t, err)
			err = attempt(func(t2 require.TestingT) { requireErasable(t.Context(), t, t2, s, path, all) })
			require.NoError(t, err, "killed at call %d of %s; the child's output:\n%s", nth, calls, strings.Join(w.lines, "\n"))
			require.NoError(t, s.Close())
			require.NoError(t, os.RemoveAll(path))
			if exit == 0 {
				break
			}
		}
		require.Greater(t, interrupted, 3, calls)
		t.Logf("%s: %d calls of Erase were interrupted", calls, interrupted)
	}
}
