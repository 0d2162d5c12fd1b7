package relay

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// replica is the store as one of several replicas sees it, with a quota share and leader leases of its own.
type replica struct {
	store.Store
	id    string
	all   *replicas
	share atomic.Uint64 // the bits of a float64
}

// replicas holds the leader lease that several replicas compete for.
type replicas struct {
	mu    sync.Mutex
	held  map[string]string // replica id by duty; guarded by mu
	until time.Time         // end of the lease; guarded by mu
}

func (r *replicas) join(s store.Store, id string, share float64) *replica {
	one := &replica{Store: s, id: id, all: r}
	one.setShare(share)
	return one
}

func (r *replica) setShare(share float64) { r.share.Store(math.Float64bits(share)) }

func (r *replica) Share() float64 { return math.Float64frombits(r.share.Load()) }

func (r *replica) Hold(_ context.Context, duty string, now, until time.Time) (bool, error) {
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	if holder, taken := r.all.held[duty]; taken && holder != r.id && now.Before(r.all.until) {
		return false, nil
	}
	r.all.held, r.all.until = map[string]string{duty: r.id}, until
	return true, nil
}

// runInBackground runs run until stop is called or the test ends.
func (h *harness) runInBackground(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(h.t, <-done)
	})
	h.t.Cleanup(stop)
	return stop
}

// relayOf runs a relay on the store of one replica.
func (h *harness) relayOf(s store.Store, p Plan) (stop func()) {
	h.t.Helper()
	p.Client = h.client(p.ID)
	c := Config{Plans: []Plan{p}, Rand: func() float64 { return 0.5 }}
	r, err := New(c, s, h.metrics, slog.New(slog.DiscardHandler))
	require.NoError(h.t, err)
	return h.runInBackground(r.Run)
}

func TestRateLimiterFollowsTheQuotaShare(t *testing.T) {
	at := time.Date(2025, 8, 19, 16, 0, 0, 0, time.UTC)
	after := func(d time.Duration) time.Time { return at.Add(d) }
	p := newRateLimiter(160, 40, 0)
	require.True(t, p.setShare(.25, at))
	require.False(t, p.setShare(.25, at))
	require.Equal(t, 0, p.available(at), "no calls accumulated")
	require.Equal(t, 1, p.available(after(time.Second/40)), "40 per second")
	require.Equal(t, 4, p.available(after(time.Hour)), "all replicas together accumulate 16 calls")
	p.setShare(1, after(time.Hour))
	require.Equal(t, 4, p.available(after(time.Hour)))
	require.Equal(t, 16, p.available(after(2*time.Hour)))

	p.decrease(after(2 * time.Hour))
	require.InDelta(t, 80, float64(p.tokens.Limit()), 1e-9)
	p.setShare(.5, after(2*time.Hour))
	require.InDelta(t, 40, float64(p.tokens.Limit()), 1e-9, "half of the rate after the 429")
	require.Equal(t, 4, p.available(after(2*time.Hour)))
	p.increase(after(3 * time.Hour))
	require.InDelta(t, 80, float64(p.tokens.Limit()), 1e-9)

	p.setShare(.001, after(4*time.Hour))
	require.Equal(t, 1, p.available(after(5*time.Hour)), "any share permits a call")
	p.setShare(0, after(5*time.Hour))
	require.Equal(t, 0, p.available(after(6*time.Hour)))
	p.setShare(1, after(6*time.Hour))
	require.Equal(t, 0, p.available(after(6*time.Hour)), "accumulated calls are dropped")
}

func TestNothingIsClaimedWithoutAQuotaShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		s := new(replicas).join(h.store, "a", 0)
		h.relayOf(s, Plan{ID: planA, Rate: 10})
		h.oweFeedback(planA, 60)
		h.advance(10 * time.Second)
		require.Zero(t, h.store.Calls(storetest.Claim))
		s.setShare(.5)
		h.advance(10 * time.Second)
		require.InDelta(t, 50, h.sent(planA), 2)
	})
}

// While replicas come and go, together they never exceed the rate of one.
func TestReplicasTogetherStayWithinTheRate(t *testing.T) {
	const rate, workers, count = 20, 6, 3
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		var all []*replica
		var stops []func()
		for _, id := range []string{"a", "b", "c"} {
			s := new(replicas).join(h.store, id, 0)
			all, stops = append(all, s), append(stops, h.relayOf(s, Plan{ID: planA, Rate: rate, Workers: workers}))
		}
		h.oweFeedback(planA, 1000)
		h.advance(time.Second)
		for i, shares := range [][]float64{
			{1, 0, 0},
			{.5, 0, 0},
			{.5, .5, 0},
			{1. / 3, 1. / 3, 0},
			{1. / 3, 1. / 3, 1. / 3},
			{0, 1. / 3, 1. / 3},
			{0, .5, .5},
			{0, 0, 1},
			{.5, 0, .5},
		} {
			for n, share := range shares {
				all[n].setShare(share)
			}
			if i == 6 {
				stops[0]()
			}
			h.advance(4 * time.Second)
		}
		calls := h.upstream.requests(postFeedback)
		require.Greater(t, len(calls), 20*rate, "the replicas use the rate")
		for i := range calls {
			for j := i; j < len(calls); j++ {
				most := rate*calls[j].at.Sub(calls[i].at).Seconds() + workers + count + 1
				require.LessOrEqual(t, float64(j-i+1), most, "calls from %s to %s", calls[i].at, calls[j].at)
			}
		}
		seen := make(map[string]bool)
		for _, c := range calls {
			require.False(t, seen[c.batchID], "two replicas sent feedback for one batch")
			seen[c.batchID] = true
		}
	})
}

func TestOneReplicaReconcilesAndAnotherTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		var all replicas
		plan := ReconciledPlan{ID: planA, Rate: 1, Client: h.client(planA)}
		var stops []func()
		for _, id := range []string{"a", "b"} {
			c := ReconcilerConfig{Plans: []ReconciledPlan{plan}}
			r, err := NewReconciler(c, all.join(h.store, id, 1), h.metrics, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			stops = append(stops, h.runInBackground(r.Run))
			h.advance(time.Second)
		}
		h.upstream.fail(getReport, 1<<20, respond(http.StatusNotFound, ""))
		for i := range 100 {
			h.recordBatch(fmt.Sprint("batch-", i))
		}
		h.advance(time.Hour + 20*time.Second)
		calls := h.upstream.requests(getReport)
		require.InDelta(t, 20, len(calls), 6, "one read per second over both replicas")
		require.Equal(t, "a", all.holder(store.DutyReconcile))

		stops[0]()
		h.advance(reconcileLease - 11*time.Second) // the lease may have been renewed up to a third of it ago
		require.Len(t, h.upstream.requests(getReport), len(calls), "the lease of replica a may still run")
		h.advance(reconcileLease)
		require.Equal(t, "b", all.holder(store.DutyReconcile))
		h.advance(2 * time.Minute)
		reads := make(map[string]int)
		for _, c := range h.upstream.requests(getReport) {
			reads[c.batchID]++
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
		h := newHarness(t, nil)
		all := &replicas{held: map[string]string{store.DutyReconcile: "b"}, until: now().Add(30 * time.Minute)}
		plan := ReconciledPlan{ID: planA, Rate: 1, Client: h.client(planA)}
		c := ReconcilerConfig{Plans: []ReconciledPlan{plan}}
		r, err := NewReconciler(c, all.join(h.store, "a", 1), h.metrics, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		h.runInBackground(r.Run)
		h.upstream.fail(getReport, 1<<20, respond(http.StatusNotFound, ""))
		for i := range pageSize {
			h.recordBatch(fmt.Sprint("batch-", i))
		}
		h.advance(29 * time.Minute)
		require.Zero(t, h.store.Calls(storetest.Read), "without the lease the store is not read")
		h.advance(31*time.Minute + 10*time.Second)
		begun := len(h.upstream.requests(getReport))
		require.InDelta(t, 10, begun, 6)
		all.give(store.DutyReconcile, "b", now().Add(time.Hour))
		h.advance(reconcileLease / 3)
		reads := len(h.upstream.requests(getReport))
		require.LessOrEqual(t, reads, begun+10)
		h.advance(30 * time.Minute)
		require.Len(t, h.upstream.requests(getReport), reads)
	})
}

func (r *replicas) give(duty, id string, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held, r.until = map[string]string{duty: id}, until
}

// If the lease cannot be read, nothing is reconciled.
func TestAnUnreadableLeaseStopsTheReconciler(t *testing.T) {
	inBubbleWithReconciler(t, func(t *testing.T, h *harness) {
		h.store.Fail(storetest.Hold, storetest.NotApplied, nil, storetest.Always)
		h.recordBatch(batch1)
		h.advance(3 * time.Hour)
		require.Empty(t, h.upstream.requests(getReport))
		require.Len(t, h.log.with(t, "the leader lease of the reconciler cannot be read"), 1)
		h.store.Heal()
		h.advance(time.Hour)
		require.Len(t, h.upstream.requests(getReport), 1)
		require.Len(t, h.log.with(t, "batches with missing reports can be read again"), 1)
	})
}

// Consecutive failures to read the store are logged once.
func TestTheReconcilerLogsConsecutiveStoreFailuresOnce(t *testing.T) {
	inBubbleWithReconciler(t, func(t *testing.T, h *harness) {
		h.recordBatch(batch1)
		h.store.Fail(storetest.Read, storetest.NotApplied, nil, storetest.Always)
		h.advance(3 * time.Hour)
		require.Len(t, h.log.with(t, "batches with missing reports cannot be read"), 1)
		require.Empty(t, h.log.with(t, "batches with missing reports can be read again"))
		h.store.Heal()
		h.advance(time.Hour)
		require.Len(t, h.upstream.requests(getReport), 1)
		require.Len(t, h.log.with(t, "batches with missing reports can be read again"), 1)
	})
}
