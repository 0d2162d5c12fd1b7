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

// elsewhere is a store whose duties another replica may have.
type elsewhere struct {
	store.Store
	taken atomic.Bool
}

func (e *elsewhere) Hold(context.Context, string, time.Time, time.Time) (bool, error) {
	return !e.taken.Load(), nil
}

func TestRetentionIsOneReplicasDuty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept, err := boltstore.Open(t.Context(), boltstore.Config{Path: t.TempDir()})
		require.NoError(t, err)
		defer func() { require.NoError(t, kept.Close()) }()
		other := &elsewhere{Store: kept}
		other.taken.Store(true)
		failing := storetest.NewFailing(other)
		s := &Server{config: &config.Config{}, log: slog.New(slog.DiscardHandler), store: failing}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.retire(ctx) }()

		time.Sleep(10*retireEvery + time.Second)
		synctest.Wait()
		require.Zero(t, failing.Calls(storetest.Expire))
		require.InDelta(t, 60, failing.Calls(storetest.Hold), 2, "it asks whether that is still so")

		other.taken.Store(false)
		time.Sleep(10 * retireEvery)
		synctest.Wait()
		require.InDelta(t, 10, failing.Calls(storetest.Expire), 1)
		require.InDelta(t, 120, failing.Calls(storetest.Hold), 4, "it keeps it also between two rounds")

		expired := failing.Calls(storetest.Expire)
		failing.Fail(storetest.Hold, storetest.NotApplied, nil, storetest.Always)
		time.Sleep(10 * retireEvery)
		synctest.Wait()
		require.InDelta(t, expired, failing.Calls(storetest.Expire), 1, "what cannot be known is not done")
		cancel()
		require.NoError(t, <-done)
	})
}
