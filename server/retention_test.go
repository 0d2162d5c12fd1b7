package server

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// shared is a store with a fake Cluster: another replica may hold the leader leases.
type shared struct {
	*storetest.Failing
	store.Cluster
	calls     atomic.Int64 // of AcquireLease
	elsewhere atomic.Bool
	failing   atomic.Bool // AcquireLease fails
}

func (s *shared) AcquireLease(context.Context, string, time.Time, time.Time) (bool, error) {
	s.calls.Add(1)
	if s.failing.Load() {
		return true, storetest.ErrInjected
	}
	return !s.elsewhere.Load(), nil
}

func TestOnlyTheLeaseHolderRunsRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept, err := boltstore.Open(t.Context(), boltstore.Config{Path: t.TempDir()})
		require.NoError(t, err)
		defer func() { require.NoError(t, kept.Close()) }()
		replica := &shared{Failing: storetest.NewFailing(kept)}
		replica.elsewhere.Store(true)
		s := &Server{config: &config.Config{}, log: slog.New(slog.DiscardHandler), store: replica}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.runRetention(ctx) }()

		time.Sleep(10*retentionInterval + time.Second)
		synctest.Wait()
		require.Zero(t, replica.Calls(storetest.DeleteOlder))
		require.InDelta(t, 60, replica.calls.Load(), 2, "it keeps trying to acquire the lease")

		replica.elsewhere.Store(false)
		time.Sleep(10 * retentionInterval)
		synctest.Wait()
		require.InDelta(t, 10, replica.Calls(storetest.DeleteOlder), 1)
		require.InDelta(t, 120, replica.calls.Load(), 4, "it renews the lease between two rounds")

		expired := replica.Calls(storetest.DeleteOlder)
		replica.failing.Store(true)
		time.Sleep(10 * retentionInterval)
		synctest.Wait()
		require.InDelta(t, expired, replica.Calls(storetest.DeleteOlder), 1, "without a confirmed lease nothing is deleted")
		cancel()
		require.NoError(t, <-done)
	})
}

// trimming is a store that records the calls of TrimEvents.
type trimming struct {
	*shared
	before []time.Time // the arguments; only the goroutine of runRetention writes it
}

func (s *trimming) TrimEvents(_ context.Context, before time.Time) error {
	s.before = append(s.before, before)
	return nil
}

func TestRetentionTrimsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept, err := boltstore.Open(t.Context(), boltstore.Config{Path: t.TempDir()})
		require.NoError(t, err)
		defer func() { require.NoError(t, kept.Close()) }()
		replica := &trimming{shared: &shared{Failing: storetest.NewFailing(kept)}}
		replica.elsewhere.Store(true)
		s := &Server{config: config.Default(), log: slog.New(slog.DiscardHandler), store: replica}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.runRetention(ctx) }()

		time.Sleep(3 * retentionInterval)
		synctest.Wait()
		require.Empty(t, replica.before, "another replica holds the lease")
		replica.elsewhere.Store(false)
		time.Sleep(3 * retentionInterval)
		synctest.Wait()
		require.Len(t, replica.before, 3)
		require.WithinDuration(t, time.Now().Add(-24*time.Hour), replica.before[2], retentionInterval)
		require.Equal(t, time.UTC, replica.before[2].Location())
		cancel()
		require.NoError(t, <-done)
	})
}
