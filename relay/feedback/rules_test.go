package feedback

import (
	"log/slog"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// The status of an answer decides the outcome. A task is dead only if it can never succeed or failed for too long, and
// never because of the credentials. A retry is never due at once, nor later than the backoff or Retry-After allows.
func TestOutcomeOfEachStatus(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Date(2025, 8, 19, 16, 0, 0, 0, time.UTC)
		l := &lane{plan: Plan{}.withDefaults(), random: func() float64 { return 0.999 }}
		l.forbidden = map[step]*relay.Streak{stepSend: {}}
		status := rapid.IntRange(300, 599).Draw(t, "status")
		age := time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "age"))
		retryAfter := time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "retry after"))
		attempts := rapid.IntRange(0, 1000).Draw(t, "attempts")
		before := rapid.SampledFrom(append(store.FeedbackReasons(), "")).Draw(t, "reason before")
		c := store.Claim{Recipients: []string{ada}, Batch: &store.Batch{
			Task: &store.Task{Since: at.Add(-age), Attempts: attempts, Reason: before},
		}}

		o := l.failed(stepSend, c, at, &sinch.Error{HTTPStatus: status, RetryAfter: retryAfter})

		require.Contains(t, store.FeedbackReasons(), o.reason)
		require.Equal(t, o.reason, o.settlement.Reason)
		auth := status == 401
		temporary := status < 400 || status >= 500 || slices.Contains([]int{403, 404, 407, 408, 421, 429}, status)
		old := age >= 72*time.Hour && attempts > 0 && before != store.ReasonAuth && before != store.ReasonUnknownPlan
		switch {
		case auth:
			require.Equal(t, store.ReasonAuth, o.reason)
			require.Equal(t, store.OutcomeRetry, o.settlement.Outcome)
			require.Equal(t, at.Add(10*time.Minute), o.settlement.Due)
		case !temporary, old:
			require.Equal(t, store.OutcomeDead, o.settlement.Outcome)
			require.Equal(t, c.Recipients, o.settlement.Recipients)
		default:
			require.Equal(t, store.OutcomeRetry, o.settlement.Outcome)
			require.Empty(t, o.settlement.Recipients)
			wait := o.settlement.Due.Sub(at)
			longest := 10 * time.Minute
			if status == 429 {
				longest = time.Hour
			}
			require.GreaterOrEqual(t, wait, min(retryAfter, longest))
			require.Positive(t, wait)
			require.LessOrEqual(t, wait, max(min(retryAfter, longest), 10*time.Minute))
		}
	})
}

func TestRateLimiter(t *testing.T) {
	at := time.Date(2025, 8, 19, 16, 0, 0, 0, time.UTC)
	p := newRateLimiter(16, 4, 1)
	require.Equal(t, 1, p.available(at), "the calls of a tenth of a second accumulate")
	p.spend(at)
	require.Equal(t, 0, p.available(at))
	require.Equal(t, 63*time.Millisecond+500*time.Microsecond, p.untilNext(at))
	require.Equal(t, 1, p.available(at.Add(p.untilNext(at))))
	require.Zero(t, p.untilNext(at.Add(time.Second)))

	// A call beyond the rate delays the next one.
	p.spend(at)
	require.Equal(t, 0, p.available(at.Add(63*time.Millisecond)))

	p.decrease(at)
	require.InDelta(t, 8, float64(p.tokens.Limit()), 1e-9)
	p.decrease(at.Add(999 * time.Millisecond))
	require.InDelta(t, 8, float64(p.tokens.Limit()), 1e-9, "failures within decreaseInterval count once")
	p.increase(at.Add(30 * time.Second))
	require.InDelta(t, 16, float64(p.tokens.Limit()), 1e-9)

	for i := range 20 {
		p.decrease(at.Add(time.Minute + time.Duration(i)*time.Second))
	}
	require.InDelta(t, 1, float64(p.tokens.Limit()), 1e-9, "the rate never drops to zero")
	p.increase(at.Add(time.Minute + 19*time.Second + 15*time.Second))
	require.InDelta(t, 1+4, float64(p.tokens.Limit()), 1e-9, "the rate returns to the threshold within a minute")
	p.increase(at.Add(time.Hour))
	require.InDelta(t, 16, float64(p.tokens.Limit()), 1e-9, "the rate never exceeds the ceiling")

	require.Equal(t, 64, newRateLimiter(2000, 64, 1).available(at), "the burst is limited to the workers")
	slow := newRateLimiter(0.01, 1, 1)
	decreases(slow, at, 9)
	require.InDelta(t, 0.01/16, slow.rate, 1e-9)
}

// decreases halves the rate once in two seconds, without a success in between.
func decreases(p *rateLimiter, at time.Time, times int) {
	for i := range times {
		p.decrease(at.Add(time.Duration(2*i) * time.Second))
	}
}

// If Sinch accepts 10 calls per second, the limiter makes about as many and is rarely refused, although the ceiling is
// 2000.
func TestRateLimiterFindsSinchsLimit(t *testing.T) {
	at := time.Date(2025, 8, 19, 16, 0, 0, 0, time.UTC)
	p, succeeded, limited := newRateLimiter(2000, 64, 1), 0, 0
	allowed := 10.0
	step := 10 * time.Millisecond
	for elapsed := time.Duration(0); elapsed < 20*time.Minute; elapsed += step {
		now := at.Add(elapsed)
		allowed = min(allowed+10*step.Seconds(), 10)
		for range p.available(now) {
			p.spend(now)
			if allowed >= 1 {
				allowed--
				p.increase(now)
				succeeded++
				continue
			}
			p.decrease(now)
			limited++
		}
	}
	require.Greater(t, succeeded, 20*60*10/2, "at least half of what Sinch accepts")
	require.Less(t, limited, succeeded/4, "few calls are refused")
}

func TestNewReportsBadConfiguration(t *testing.T) {
	client := &sinch.Client{}
	one := func(p Plan) []Plan {
		p.ID, p.Client = "a", client
		return []Plan{p}
	}
	for want, plans := range map[string][]Plan{
		`plan "" (number 1): id: it is empty`:                      {{Client: client}},
		`plan "a" (number 1): client: it is not set`:               {{ID: "a"}},
		`plan "a" (number 2): it is configured twice`:              {{ID: "a", Client: client}, {ID: "a", Client: client}},
		`workers: -1 is negative`:                                  one(Plan{Workers: -1}),
		`rate: -1 calls per second; use a number from 0 to 10000`:  one(Plan{Rate: -1}),
		`rate: NaN calls per second; use a number from 0 to 10000`: one(Plan{Rate: math.NaN()}),
		`circuit failures: -1 is negative`:                         one(Plan{Circuit: relay.Circuit{Failures: -1}}),
		`lease: -1s is negative`:                                   one(Plan{Lease: -time.Second}),
		`backoff cap: is less than base`: one(Plan{Backoff: relay.Backoff{
			Base: 2 * time.Second, Cap: time.Second,
		}}),
		`cap: is less than base`: one(Plan{Backoff: relay.Backoff{Cap: 500 * time.Millisecond}}),
	} {
		m := metrics.New(prometheus.NewRegistry(), metrics.Config{})
		_, err := New(Config{Plans: plans}, nil, m, slog.Default())
		require.ErrorContains(t, err, want)
	}
}
