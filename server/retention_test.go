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

// leased is a store whose leader leases another replica may hold.
type leased struct {
	store.Store
	elsewhere atomic.Bool
}

func (e *leased) AcquireLease(context.Context, string, time.Time, time.Time) (bool, error) {
	return !e.elsewhere.Load(), nil
}

func TestOnlyTheLeaseHolderRunsRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept, err := boltstore.Open(t.Context(), boltstore.Config{Path: t.TempDir()})
		require.NoError(t, err)
		defer func() { require.NoError(t, kept.Close()) }()
		other := &leased{Store: kept}
		other.elsewhere.Store(true)
		failing := storetest.NewFailing(other)
		s := &Server{config: &config.Config{}, log: slog.New(slog.DiscardHandler), store: failing}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.runRetention(ctx) }()

		time.Sleep(10*retentionInterval + time.Second)
		synctest.Wait()
		require.Zero(t, failing.Calls(storetest.Expire))
		require.InDelta(t, 60, failing.Calls(storetest.Hold), 2, "it keeps trying to acquire the lease")

		other.elsewhere.Store(false)
		time.Sleep(10 * retentionInterval)
		synctest.Wait()
		require.InDelta(t, 10, failing.Calls(storetest.Expire), 1)
		require.InDelta(t, 120, failing.Calls(storetest.Hold), 4, "it renews the lease between two rounds")

		expired := failing.Calls(storetest.Expire)
		failing.Fail(storetest.Hold, storetest.NotApplied, nil, storetest.Always)
		time.Sleep(10 * retentionInterval)
		synctest.Wait()
		require.InDelta(t, expired, failing.Calls(storetest.Expire), 1, "without a confirmed lease nothing is deleted")
		cancel()
		require.NoError(t, <-done)
	})
}
