package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

func TestReasonOfErrors(t *testing.T) {
	for _, test := range []struct {
		err  error
		want store.Reason
	}{
		{nil, store.ReasonAccepted},
		{context.DeadlineExceeded, store.ReasonTimeout},
		{&net.OpError{Op: "read", Err: timeoutError{}}, store.ReasonTimeout},
		{&net.DNSError{Err: "no such host", Name: "eu.sms.api.sinch.com", IsNotFound: true}, store.ReasonNetwork},
		{&net.DNSError{Err: "i/o timeout", IsTimeout: true}, store.ReasonTimeout},
		{errors.New("connection reset by peer"), store.ReasonNetwork},
		{context.Canceled, store.ReasonCanceled},
		{gobreaker.ErrOpenState, store.ReasonCanceled},
		{gobreaker.ErrTooManyRequests, store.ReasonCanceled},
		{sinch.ErrID, store.ReasonRejected},
		{sinch.ErrRecipients, store.ReasonRejected},
		{&sinch.Error{HTTPStatus: 200}, store.ReasonServer},
		{&sinch.Error{HTTPStatus: 307}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 200, Page: true}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 400, Page: true}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 401, Page: true}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 403, Page: true}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 404, Page: true}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 429, Page: true}, store.ReasonRateLimited},
		{&sinch.Error{HTTPStatus: 502, Page: true}, store.ReasonServer},
		{&sinch.Error{HTTPStatus: 407}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 421}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 401}, store.ReasonAuth},
		{&sinch.Error{HTTPStatus: 403, Code: "conflict"}, store.ReasonForbidden},
		{&sinch.Error{HTTPStatus: 403, Code: "blocked_account"}, store.ReasonAuth},
		{errUnknownPlan, store.ReasonUnknownPlan},
		{&sinch.Error{HTTPStatus: 200, Page: true, Operation: sinch.FetchToken}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 400, Operation: sinch.FetchToken}, store.ReasonAuth},
		{&sinch.Error{HTTPStatus: 200, Operation: sinch.FetchToken}, store.ReasonAuth},
		{&sinch.Error{HTTPStatus: 429, Operation: sinch.FetchToken}, store.ReasonRateLimited},
		{&sinch.Error{HTTPStatus: 502, Operation: sinch.FetchToken}, store.ReasonServer},
		// A cause inside an answer does not hide the answer.
		{&sinch.Error{HTTPStatus: 503, Err: context.Canceled}, store.ReasonServer},
	} {
		assert.Equal(t, test.want, reasonOf(test.err), "%v", test.err)
		if test.err != nil {
			assert.Equal(t, test.want, reasonOf(fmt.Errorf("sinch: send delivery feedback: %w", test.err)), "%v, wrapped", test.err)
		}
	}
}

type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// Whatever Sinch answers, the task ends up where its status says: dead only for what can never succeed, or for what failed
// too long; never dead for credentials; and never due at once, nor later than the plan or Sinch asked for.
func TestWhatFollowsAnAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Date(2025, 8, 19, 16, 0, 0, 0, time.UTC)
		l := &lane{plan: Plan{}.withDefaults(), random: func() float64 { return 0.999 }}
		l.forbidden = map[step]*streak{stepSend: {}}
		status := rapid.IntRange(300, 599).Draw(t, "status")
		age := time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "age"))
		asked := time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "retry after"))
		attempts := rapid.IntRange(0, 1000).Draw(t, "attempts")
		before := rapid.SampledFrom(append(store.FeedbackReasons(), "")).Draw(t, "reason before")
		c := store.Claim{Recipients: []string{ada}, Batch: &store.Batch{
			Task: &store.Task{Since: at.Add(-age), Attempts: attempts, Reason: before},
		}}

		o := l.failed(stepSend, c, at, &sinch.Error{HTTPStatus: status, RetryAfter: asked})

		require.Contains(t, store.FeedbackReasons(), o.reason)
		require.Equal(t, o.reason, o.settlement.Reason)
		auth := status == 401
		passing := status < 400 || status == 403 || status == 404 || status == 407 || status == 421 || status == 408 || status == 429 || status >= 500
		old := age >= 72*time.Hour && attempts > 0 && before != store.ReasonAuth && before != store.ReasonUnknownPlan
		switch {
		case auth:
			require.Equal(t, store.ReasonAuth, o.reason)
			require.Equal(t, store.Retry, o.settlement.Outcome)
			require.Equal(t, at.Add(10*time.Minute), o.settlement.Due)
		case !passing, old:
			require.Equal(t, store.Buried, o.settlement.Outcome)
			require.Equal(t, c.Recipients, o.settlement.Recipients)
		default:
			require.Equal(t, store.Retry, o.settlement.Outcome)
			require.Empty(t, o.settlement.Recipients)
			wait := o.settlement.Due.Sub(at)
			longest := 10 * time.Minute
			if status == 429 {
				longest = time.Hour
			}
			require.GreaterOrEqual(t, wait, min(asked, longest))
			require.Positive(t, wait)
			require.LessOrEqual(t, wait, max(min(asked, longest), 10*time.Minute))
		}
	})
}

func TestDelayIsFullJitterWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Backoff{
			Base: time.Duration(rapid.Int64Range(1, int64(time.Minute)).Draw(t, "base")),
			Cap:  time.Duration(rapid.Int64Range(int64(time.Minute), int64(24*time.Hour)).Draw(t, "cap")),
		}
		attempts := rapid.IntRange(0, math.MaxInt32).Draw(t, "attempts")
		random := rapid.Float64Range(0, 0.999999).Draw(t, "random")
		asked := time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "retry after"))

		most := b.Cap
		if attempts < 40 && b.Base < b.Cap>>attempts {
			most = b.Base << attempts
		}
		d := b.delay(attempts, 0, random)
		require.GreaterOrEqual(t, d, time.Duration(0))
		require.LessOrEqual(t, d, most)
		require.InDelta(t, random*float64(most), float64(d), 1+1e-9*float64(most))
		require.Equal(t, max(d, asked), b.delay(attempts, asked, random))
	})
}

func TestPace(t *testing.T) {
	at := time.Date(2025, 8, 19, 16, 0, 0, 0, time.UTC)
	p := newPace(16, 4, 1)
	require.Equal(t, 1, p.room(at), "a tenth of a second is saved up")
	p.spend(at)
	require.Equal(t, 0, p.room(at))
	require.Equal(t, 63*time.Millisecond+500*time.Microsecond, p.next(at))
	require.Equal(t, 1, p.room(at.Add(p.next(at))))
	require.Zero(t, p.next(at.Add(time.Second)))

	// A look-up that could not wait makes the next call wait.
	p.spend(at)
	require.Equal(t, 0, p.room(at.Add(63*time.Millisecond)))

	p.drop(at)
	require.InDelta(t, 8, float64(p.limiter.Limit()), 1e-9)
	p.drop(at.Add(999 * time.Millisecond))
	require.InDelta(t, 8, float64(p.limiter.Limit()), 1e-9, "calls in flight together drop it once")
	p.raise(at.Add(30 * time.Second))
	require.InDelta(t, 16, float64(p.limiter.Limit()), 1e-9)

	for i := range 20 {
		p.drop(at.Add(time.Minute + time.Duration(i)*time.Second))
	}
	require.InDelta(t, 1, float64(p.limiter.Limit()), 1e-9, "it never stops for good")
	p.raise(at.Add(time.Minute + 19*time.Second + 15*time.Second))
	require.InDelta(t, 1+4, float64(p.limiter.Limit()), 1e-9, "one trouble, however long: it recovers to where it was in a minute")
	p.raise(at.Add(time.Hour))
	require.InDelta(t, 16, float64(p.limiter.Limit()), 1e-9, "nor goes beyond the ceiling")

	require.Equal(t, 64, newPace(2000, 64, 1).room(at), "no more than can be worked at")
	require.InDelta(t, 0.01/16, func() float64 { slow := newPace(0.01, 1, 1); drops(slow, at, 9); return slow.rate }(), 1e-9)
}

// drops is trouble once in two seconds, with a success in between.
func drops(p *pace, at time.Time, times int) {
	for i := range times {
		p.drop(at.Add(time.Duration(2*i) * time.Second))
	}
}

// A Sinch that takes 10 calls a second gets about as many, and seldom more, though the ceiling is far above.
func TestPaceFindsALimit(t *testing.T) {
	at := time.Date(2025, 8, 19, 16, 0, 0, 0, time.UTC)
	p, taken, limited := newPace(2000, 64, 1), 0, 0
	allowed := 10.0
	step := 10 * time.Millisecond
	for elapsed := time.Duration(0); elapsed < 20*time.Minute; elapsed += step {
		now := at.Add(elapsed)
		allowed = min(allowed+10*step.Seconds(), 10)
		for range p.room(now) {
			p.spend(now)
			if allowed >= 1 {
				allowed--
				p.raise(now)
				taken++
				continue
			}
			p.drop(now)
			limited++
		}
	}
	require.Greater(t, taken, 20*60*10/2, "at least half of what Sinch takes")
	require.Less(t, limited, taken/4, "few calls are refused")
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	client := &sinch.Client{}
	for want, plans := range map[string][]Plan{
		`plan "" (number 1): id: it is empty`:                {{Client: client}},
		`plan "a" (number 1): client: it is not set`:         {{ID: "a"}},
		`plan "a" (number 2): it is there twice`:             {{ID: "a", Client: client}, {ID: "a", Client: client}},
		`workers: -1 is negative`:                            {{ID: "a", Client: client, Workers: -1}},
		`rate: -1 calls a second; use a number up to 10000`:  {{ID: "a", Client: client, Rate: -1}},
		`rate: NaN calls a second; use a number up to 10000`: {{ID: "a", Client: client, Rate: math.NaN()}},
		`circuit failures: -1 is negative`:                   {{ID: "a", Client: client, Circuit: Circuit{Failures: -1}}},
		`lease: -1s is negative`:                             {{ID: "a", Client: client, Lease: -time.Second}},
		`backoff cap: 1s is less than the base 2s`:           {{ID: "a", Client: client, Backoff: Backoff{Base: 2 * time.Second, Cap: time.Second}}},
		`backoff cap: 500ms is less than the base 1s`:        {{ID: "a", Client: client, Backoff: Backoff{Cap: 500 * time.Millisecond}}},
	} {
		_, err := New(Config{Plans: plans}, new(replicas).join(nil, "a", 1), metrics.New(prometheus.NewRegistry(), metrics.Config{}), slog.Default())
		require.ErrorContains(t, err, want)
	}
}

func TestDetailsAreBounded(t *testing.T) {
	long := errors.New(string(slices.Repeat([]byte("é"), 5000)))
	require.LessOrEqual(t, len([]rune(detail(long))), maxDetail)
	require.Equal(t, "the circuit is open", detail(fmt.Errorf("x: %w", gobreaker.ErrOpenState)))
}
