package feedback

import (
	"log/slog"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/relay/relaytest"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// quotaShare is the quota share of one replica, 0 until set.
type quotaShare struct{ bits atomic.Uint64 }

func (q *quotaShare) set(share float64) { q.bits.Store(math.Float64bits(share)) }

func (q *quotaShare) get() float64 { return math.Float64frombits(q.bits.Load()) }

// relayOf runs the relay of one replica.
func (h *harness) relayOf(share *quotaShare, p Plan) (stop func()) {
	h.T.Helper()
	p.Client = h.Client(p.ID)
	c := Config{Plans: []Plan{p}, Rand: relaytest.Random, QuotaShare: share.get}
	r, err := New(c, h.Store, h.Metrics, slog.New(slog.DiscardHandler))
	require.NoError(h.T, err)
	return h.Run(r.Run)
}

func TestRateLimiterFollowsTheQuotaShare(t *testing.T) {
	at := time.Date(2025, 8, 19, 16, 0, 0, 0, time.UTC)
	after := func(d time.Duration) time.Time { return at.Add(d) }
	p := newRateLimiter(160, 40, 0)
	require.True(t, p.setQuotaShare(.25, at))
	require.False(t, p.setQuotaShare(.25, at))
	require.Equal(t, 0, p.available(at), "no calls accumulated")
	require.Equal(t, 1, p.available(after(time.Second/40)), "40 per second")
	require.Equal(t, 4, p.available(after(time.Hour)), "all replicas together accumulate 16 calls")
	p.setQuotaShare(1, after(time.Hour))
	require.Equal(t, 4, p.available(after(time.Hour)))
	require.Equal(t, 16, p.available(after(2*time.Hour)))

	p.decrease(after(2 * time.Hour))
	require.InDelta(t, 80, float64(p.tokens.Limit()), 1e-9)
	p.setQuotaShare(.5, after(2*time.Hour))
	require.InDelta(t, 40, float64(p.tokens.Limit()), 1e-9, "half of the rate after the 429")
	require.Equal(t, 4, p.available(after(2*time.Hour)))
	p.increase(after(3 * time.Hour))
	require.InDelta(t, 80, float64(p.tokens.Limit()), 1e-9)

	p.setQuotaShare(.001, after(4*time.Hour))
	require.Equal(t, 1, p.available(after(5*time.Hour)), "any quota share permits a call")
	p.setQuotaShare(0, after(5*time.Hour))
	require.Equal(t, 0, p.available(after(6*time.Hour)))
	p.setQuotaShare(1, after(6*time.Hour))
	require.Equal(t, 0, p.available(after(6*time.Hour)), "accumulated calls are dropped")
}

func TestNothingIsClaimedWithoutAQuotaShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		share := &quotaShare{}
		h.relayOf(share, Plan{ID: planA, Rate: 10})
		h.oweFeedback(planA, 60)
		h.Advance(10 * time.Second)
		require.Zero(t, h.Store.Calls(storetest.Claim))
		share.set(.5)
		h.Advance(10 * time.Second)
		require.InDelta(t, 50, h.sent(planA), 2)
	})
}

// While replicas come and go, together they never exceed the rate of one.
func TestReplicasTogetherStayWithinTheRate(t *testing.T) {
	const rate, workers, count = 20, 6, 3
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		var all []*quotaShare
		var stops []func()
		for range count {
			share := &quotaShare{}
			all, stops = append(all, share), append(stops, h.relayOf(share, Plan{ID: planA, Rate: rate, Workers: workers}))
		}
		h.oweFeedback(planA, 1000)
		h.Advance(time.Second)
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
				all[n].set(share)
			}
			if i == 6 {
				stops[0]()
			}
			h.Advance(4 * time.Second)
		}
		calls := h.Upstream.Requests(relaytest.PostFeedback)
		require.Greater(t, len(calls), 20*rate, "the replicas use the rate")
		for i := range calls {
			for j := i; j < len(calls); j++ {
				most := rate*calls[j].At.Sub(calls[i].At).Seconds() + workers + count + 1
				require.LessOrEqual(t, float64(j-i+1), most, "calls from %s to %s", calls[i].At, calls[j].At)
			}
		}
		sent := make(map[string]bool)
		for _, c := range calls {
			require.False(t, sent[c.BatchID], "two replicas sent feedback for one batch")
			sent[c.BatchID] = true
		}
	})
}
