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

// replica is a store as one of several replicas has it.
type replica struct {
	store.Store
	id    string
	all   *replicas
	share atomic.Uint64 // the bits of a float64
}

// replicas share a store.
type replicas struct {
	mu    sync.Mutex
	held  map[string]string // who has a duty; guarded by mu
	until time.Time         // for how long; guarded by mu
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

// beside runs what has a Run in the background; the function ends it, as does the end of the test.
func (h *house) beside(run func(context.Context) error) (stop func()) {
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

// relayOf runs the relay of one replica.
func (h *house) relayOf(s store.Store, p Plan) (stop func()) {
	h.t.Helper()
	p.Client = h.client(p.ID)
	r, err := New(Config{Plans: []Plan{p}, Rand: func() float64 { return 0.5 }}, s, h.metrics, slog.New(slog.DiscardHandler))
	require.NoError(h.t, err)
	return h.beside(r.Run)
}

func TestPaceTakesItsShare(t *testing.T) {
	at := time.Date(2025, 8, 19, 16, 0, 0, 0, time.UTC)
	after := func(d time.Duration) time.Time { return at.Add(d) }
	p := newPace(160, 40, 0)
	require.True(t, p.take(.25, at))
	require.False(t, p.take(.25, at))
	require.Equal(t, 0, p.room(at), "nothing was saved up")
	require.Equal(t, 1, p.room(after(time.Second/40)), "40 a second")
	require.Equal(t, 4, p.room(after(time.Hour)), "16 calls are saved up by all")
	p.take(1, after(time.Hour))
	require.Equal(t, 4, p.room(after(time.Hour)))
	require.Equal(t, 16, p.room(after(2*time.Hour)))

	p.drop(after(2 * time.Hour))
	require.InDelta(t, 80, float64(p.limiter.Limit()), 1e-9)
	p.take(.5, after(2*time.Hour))
	require.InDelta(t, 40, float64(p.limiter.Limit()), 1e-9, "half of what 429 left")
	require.Equal(t, 4, p.room(after(2*time.Hour)))
	p.raise(after(3 * time.Hour))
	require.InDelta(t, 80, float64(p.limiter.Limit()), 1e-9)

	p.take(.001, after(4*time.Hour))
	require.Equal(t, 1, p.room(after(5*time.Hour)), "it calls, if seldom")
	p.take(0, after(5*time.Hour))
	require.Equal(t, 0, p.room(after(6*time.Hour)))
	p.take(1, after(6*time.Hour))
	require.Equal(t, 0, p.room(after(6*time.Hour)), "what was saved up is gone")
}

func TestWithoutAShareNothingIsClaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		s := new(replicas).join(h.store, "a", 0)
		h.relayOf(s, Plan{ID: planA, Rate: 10})
		h.manyBatches(planA, 60)
		h.pass(10 * time.Second)
		require.Zero(t, h.store.Calls(storetest.Claim))
		s.setShare(.5)
		h.pass(10 * time.Second)
		require.InDelta(t, 50, h.sent(planA), 2)
	})
}

// Replicas come and go, and Sinch never sees more than one alone would make.
func TestReplicasTogetherKeepToTheRate(t *testing.T) {
	const rate, workers, count = 20, 6, 3
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		var all []*replica
		var stops []func()
		for _, id := range []string{"a", "b", "c"} {
			s := new(replicas).join(h.store, id, 0)
			all, stops = append(all, s), append(stops, h.relayOf(s, Plan{ID: planA, Rate: rate, Workers: workers}))
		}
		h.manyBatches(planA, 1000)
		h.pass(time.Second)
		for i, shares := range [][]float64{
			{1, 0, 0}, {.5, 0, 0}, {.5, .5, 0}, {1. / 3, 1. / 3, 0}, {1. / 3, 1. / 3, 1. / 3}, {0, 1. / 3, 1. / 3}, {0, .5, .5}, {0, 0, 1}, {.5, 0, .5},
		} {
			for n, share := range shares {
				all[n].setShare(share)
			}
			if i == 6 {
				stops[0]()
			}
			h.pass(4 * time.Second)
		}
		calls := h.upstream.asked(postFeedback)
		require.Greater(t, len(calls), 20*rate, "and they use it")
		for i := range calls {
			for j := i; j < len(calls); j++ {
				most := rate*calls[j].at.Sub(calls[i].at).Seconds() + workers + count + 1
				require.LessOrEqual(t, float64(j-i+1), most, "calls from %s to %s", calls[i].at, calls[j].at)
			}
		}
		seen := make(map[string]bool)
		for _, c := range calls {
			require.False(t, seen[c.batchID], "a batch that two replicas call for")
			seen[c.batchID] = true
		}
	})
}

func TestOneReplicaReconcilesAndAnotherTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		var all replicas
		plan := ReconciledPlan{ID: planA, Rate: 1, Client: h.client(planA)}
		var stops []func()
		for _, id := range []string{"a", "b"} {
			r, err := NewReconciler(ReconcilerConfig{Plans: []ReconciledPlan{plan}}, all.join(h.store, id, 1), h.metrics, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			stops = append(stops, h.beside(r.Run))
			h.pass(time.Second)
		}
		h.upstream.fail(getReport, 1<<20, says(http.StatusNotFound, ""))
		for i := range 100 {
			h.went(fmt.Sprint("batch-", i))
		}
		h.pass(time.Hour + 20*time.Second)
		calls := h.upstream.asked(getReport)
		require.InDelta(t, 20, len(calls), 6, "one a second, not one a second each")
		require.Equal(t, "a", all.holder(store.DutyReconcile))

		stops[0]()
		h.pass(dutyLease - 11*time.Second) // the last time it asked for the duty may be a third of the lease ago
		require.Len(t, h.upstream.asked(getReport), len(calls), "it may still be at it")
		h.pass(dutyLease)
		require.Equal(t, "b", all.holder(store.DutyReconcile))
		h.pass(2 * time.Minute)
		asked := make(map[string]int)
		for _, c := range h.upstream.asked(getReport) {
			asked[c.batchID]++
		}
		require.Len(t, asked, 100)
		for id, times := range asked {
			require.Equal(t, 1, times, "batch %s was asked after twice", id)
		}
	})
}

func (r *replicas) holder(duty string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held[duty]
}

// A replica that loses the duty stops in the middle of what it had found.
func TestWhoLosesTheDutyStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		all := &replicas{held: map[string]string{store.DutyReconcile: "b"}, until: now().Add(30 * time.Minute)}
		plan := ReconciledPlan{ID: planA, Rate: 1, Client: h.client(planA)}
		r, err := NewReconciler(ReconcilerConfig{Plans: []ReconciledPlan{plan}}, all.join(h.store, "a", 1), h.metrics, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		h.beside(r.Run)
		h.upstream.fail(getReport, 1<<20, says(http.StatusNotFound, ""))
		for i := range pageSize {
			h.went(fmt.Sprint("batch-", i))
		}
		h.pass(29 * time.Minute)
		require.Zero(t, h.store.Calls(storetest.Read), "who has no duty does not even look")
		h.pass(31*time.Minute + 10*time.Second)
		begun := len(h.upstream.asked(getReport))
		require.InDelta(t, 10, begun, 6)
		all.give(store.DutyReconcile, "b", now().Add(time.Hour))
		h.pass(dutyLease / 3)
		asked := len(h.upstream.asked(getReport))
		require.LessOrEqual(t, asked, begun+10)
		h.pass(30 * time.Minute)
		require.Len(t, h.upstream.asked(getReport), asked)
	})
}

func (r *replicas) give(duty, id string, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held, r.until = map[string]string{duty: id}, until
}

// A duty that cannot be asked for is not done.
func TestWithoutKnowingTheDutyNothingIsReconciled(t *testing.T) {
	inReconciledHouse(t, func(t *testing.T, h *house) {
		h.store.Fail(storetest.Hold, storetest.NotApplied, nil, storetest.Always)
		h.went(batch1)
		h.pass(3 * time.Hour)
		require.Empty(t, h.upstream.asked(getReport))
		require.Len(t, h.log.with(t, "whether it is this replica that reconciles cannot be known"), 1)
		h.store.Heal()
		h.pass(time.Hour)
		require.Len(t, h.upstream.asked(getReport), 1)
		require.Len(t, h.log.with(t, "batches that lack reports can be asked for again"), 1)
	})
}

// While the store cannot be read there is one line of it, however often it is tried.
func TestAReconcilerThatCannotReadSaysSoOnce(t *testing.T) {
	inReconciledHouse(t, func(t *testing.T, h *house) {
		h.went(batch1)
		h.store.Fail(storetest.Read, storetest.NotApplied, nil, storetest.Always)
		h.pass(3 * time.Hour)
		require.Len(t, h.log.with(t, "batches that lack reports cannot be read"), 1)
		require.Empty(t, h.log.with(t, "batches that lack reports can be asked for again"))
		h.store.Heal()
		h.pass(time.Hour)
		require.Len(t, h.upstream.asked(getReport), 1)
		require.Len(t, h.log.with(t, "batches that lack reports can be asked for again"), 1)
	})
}
