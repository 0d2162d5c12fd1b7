package reconcile

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/relay/relaytest"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// leaderLease is held by one of several replicas.
type leaderLease struct {
	mu     sync.Mutex
	holder string // replica id; guarded by mu
	err    error  // returned instead; guarded by mu
}

func (l *leaderLease) set(holder string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holder, l.err = holder, err
}

// held returns the Held of the replica id.
func (l *leaderLease) held(id string) func(context.Context, time.Time) (bool, error) {
	return func(context.Context, time.Time) (bool, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.holder == id && l.err == nil, l.err
	}
}

func TestOneReplicaReconcilesAndAnotherTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, lease := &harness{relaytest.New(t)}, &leaderLease{holder: "a"}
		for _, id := range []string{"a", "b"} {
			h.reconcile(Plan{ID: planA, Rate: 1}, lease.held(id))
			h.Advance(time.Second)
		}
		h.Upstream.Fail(relaytest.GetReport, 1<<20, relaytest.Respond(http.StatusNotFound, ""))
		for i := range 100 {
			h.recordBatch(fmt.Sprint("batch-", i))
		}
		h.Advance(time.Hour + 20*time.Second)
		require.InDelta(t, 20, len(h.Upstream.Requests(relaytest.GetReport)), 6, "one read per second over both replicas")

		lease.set("b", nil)
		h.Advance(2 * time.Minute)
		reads := make(map[string]int)
		for _, c := range h.Upstream.Requests(relaytest.GetReport) {
			reads[c.BatchID]++
		}
		require.Len(t, reads, 100)
		for id, times := range reads {
			require.Equal(t, 1, times, "batch %s was read more than once", id)
		}
	})
}

// A replica that loses the leader lease stops in the middle of a pass.
func TestLosingTheLeaderLeaseEndsThePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, lease := &harness{relaytest.New(t)}, &leaderLease{holder: "b"}
		h.reconcile(Plan{ID: planA, Rate: 1}, lease.held("a"))
		h.Upstream.Fail(relaytest.GetReport, 1<<20, relaytest.Respond(http.StatusNotFound, ""))
		for i := range pageSize {
			h.recordBatch(fmt.Sprint("batch-", i))
		}
		h.Advance(time.Hour)
		require.Zero(t, h.Store.Calls(storetest.Read), "without the lease the store is not read")
		lease.set("a", nil)
		h.Advance(10 * time.Second)
		reads := len(h.Upstream.Requests(relaytest.GetReport))
		require.InDelta(t, 10, reads, 6)
		lease.set("b", nil)
		h.Advance(30 * time.Minute)
		require.LessOrEqual(t, len(h.Upstream.Requests(relaytest.GetReport)), reads+1)
	})
}

// If the lease cannot be read, nothing is reconciled.
func TestAnUnreadableLeaseStopsTheReconciler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, lease := &harness{relaytest.New(t)}, &leaderLease{err: errors.New("no")}
		h.reconcile(Plan{ID: planA, Rate: 100, PollInterval: time.Minute}, lease.held("a"))
		h.recordBatch(batch1)
		h.Advance(3 * time.Hour)
		require.Empty(t, h.Upstream.Requests(relaytest.GetReport))
		require.Len(t, h.Lines.With(t, "the leader lease of the reconciler cannot be read"), 1)
		lease.set("a", nil)
		h.Advance(time.Hour)
		require.Len(t, h.Upstream.Requests(relaytest.GetReport), 1)
		require.Len(t, h.Lines.With(t, "batches with missing reports can be read again"), 1)
	})
}

// Consecutive failures to read the store are logged once.
func TestTheReconcilerLogsConsecutiveStoreFailuresOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.recordBatch(batch1)
		h.Store.Fail(storetest.Read, storetest.NotApplied, nil, storetest.Always)
		h.Advance(3 * time.Hour)
		require.Len(t, h.Lines.With(t, "batches with missing reports cannot be read"), 1)
		require.Empty(t, h.Lines.With(t, "batches with missing reports can be read again"))
		h.Store.Heal()
		h.Advance(time.Hour)
		require.Len(t, h.Upstream.Requests(relaytest.GetReport), 1)
		require.Len(t, h.Lines.With(t, "batches with missing reports can be read again"), 1)
	})
}
