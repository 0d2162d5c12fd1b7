package reconcile

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/relay/relaytest"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// replica is the store as one of several replicas sees it, with leader leases of its own.
type replica struct {
	store.Store
	id  string
	all *replicas
}

// replicas holds the leader lease that several replicas compete for.
type replicas struct {
	mu    sync.Mutex
	held  map[string]string // replica id by duty; guarded by mu
	until time.Time         // end of the lease; guarded by mu
}

func (r *replicas) join(s store.Store, id string) *replica { return &replica{Store: s, id: id, all: r} }

func (r *replica) Hold(_ context.Context, duty string, now, until time.Time) (bool, error) {
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	if holder, taken := r.all.held[duty]; taken && holder != r.id && now.Before(r.all.until) {
		return false, nil
	}
	r.all.held, r.all.until = map[string]string{duty: r.id}, until
	return true, nil
}

func TestOneReplicaReconcilesAndAnotherTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &harness{relaytest.New(t)}
		var all replicas
		plan := Plan{ID: planA, Rate: 1, Client: h.Client(planA)}
		var stops []func()
		for _, id := range []string{"a", "b"} {
			c := Config{Plans: []Plan{plan}}
			r, err := New(c, all.join(h.Store, id), h.Metrics, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			stops = append(stops, h.Run(r.Run))
			h.Advance(time.Second)
		}
		h.Upstream.Fail(relaytest.GetReport, 1<<20, relaytest.Respond(http.StatusNotFound, ""))
		for i := range 100 {
			h.recordBatch(fmt.Sprint("batch-", i))
		}
		h.Advance(time.Hour + 20*time.Second)
		calls := h.Upstream.Requests(relaytest.GetReport)
		require.InDelta(t, 20, len(calls), 6, "one read per second over both replicas")
		require.Equal(t, "a", all.holder(store.DutyReconcile))

		stops[0]()
		h.Advance(reconcileLease - 11*time.Second) // the lease may have been renewed up to a third of it ago
		require.Len(t, h.Upstream.Requests(relaytest.GetReport), len(calls), "the lease of replica a may still run")
		h.Advance(reconcileLease)
		require.Equal(t, "b", all.holder(store.DutyReconcile))
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

func (r *replicas) holder(duty string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held[duty]
}

// A replica that loses the leader lease stops in the middle of a pass.
func TestLosingTheLeaderLeaseEndsThePass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &harness{relaytest.New(t)}
		all := &replicas{held: map[string]string{store.DutyReconcile: "b"}, until: store.Now().Add(30 * time.Minute)}
		plan := Plan{ID: planA, Rate: 1, Client: h.Client(planA)}
		c := Config{Plans: []Plan{plan}}
		r, err := New(c, all.join(h.Store, "a"), h.Metrics, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		h.Run(r.Run)
		h.Upstream.Fail(relaytest.GetReport, 1<<20, relaytest.Respond(http.StatusNotFound, ""))
		for i := range pageSize {
			h.recordBatch(fmt.Sprint("batch-", i))
		}
		h.Advance(29 * time.Minute)
		require.Zero(t, h.Store.Calls(storetest.Read), "without the lease the store is not read")
		h.Advance(31*time.Minute + 10*time.Second)
		begun := len(h.Upstream.Requests(relaytest.GetReport))
		require.InDelta(t, 10, begun, 6)
		all.give(store.DutyReconcile, "b", store.Now().Add(time.Hour))
		h.Advance(reconcileLease / 3)
		reads := len(h.Upstream.Requests(relaytest.GetReport))
		require.LessOrEqual(t, reads, begun+10)
		h.Advance(30 * time.Minute)
		require.Len(t, h.Upstream.Requests(relaytest.GetReport), reads)
	})
}

func (r *replicas) give(duty, id string, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held, r.until = map[string]string{duty: id}, until
}

// If the lease cannot be read, nothing is reconciled.
func TestAnUnreadableLeaseStopsTheReconciler(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.Store.Fail(storetest.Hold, storetest.NotApplied, nil, storetest.Always)
		h.recordBatch(batch1)
		h.Advance(3 * time.Hour)
		require.Empty(t, h.Upstream.Requests(relaytest.GetReport))
		require.Len(t, h.Lines.With(t, "the leader lease of the reconciler cannot be read"), 1)
		h.Store.Heal()
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
