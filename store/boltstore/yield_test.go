package boltstore

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/backlog"
)

// A large step sleeps inside its write transaction. That costs a commit nothing, and a read at most yieldSlice.
func TestSleepingStepDelaysNoCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const work = 100 * time.Millisecond
		var once sync.Once
		s := opened(t, Config{Path: t.TempDir(), Policies: func(string) store.Policy {
			once.Do(func() { time.Sleep(work) }) // the first step works so long
			return store.Policy{}
		}})
		require.NoError(t, s.Record(t.Context(), fullReport(t, "large", 2*backlog.BusyStep)))
		time.Sleep(work + work/2)
		require.False(t, s.writing.TryLock(), "the step is over")

		begin := time.Now()
		for i := range 100 {
			require.NoError(t, s.Record(t.Context(), delivered("small", fmt.Sprint(447700900000+i))))
		}
		require.Zero(t, time.Since(begin), "a commit waits for the sleep")
		require.False(t, s.writing.TryLock(), "the step is over")

		stats, err := s.Stats(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2*backlog.BusyStep+100, stats[0].Recipients)
		require.LessOrEqual(t, time.Since(begin), yieldSlice, "a read waits for the sleep")
	})
}

// FoldEvery is almost infinite here, so the test hangs if the fold pauses while a read waits.
func TestFoldDoesNotPauseWhileAReaderWaits(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir(), FoldEvery: 1 << 62})
	for n := range 3 * backlog.BusyStep {
		require.NoError(t, s.Record(t.Context(), delivered(fmt.Sprint(n%3), fmt.Sprint(447700900000+n))))
		if n%100 == 0 {
			_, err := s.Batch(t.Context(), store.BatchKey{Plan: "plan", BatchID: fmt.Sprint(n % 3)})
			require.NoError(t, err)
		}
	}
	require.NoError(t, s.Close())
}
