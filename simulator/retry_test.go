package simulator

import (
	"cmp"
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/ledger"
)

// sendOne sends one message whose final status is called back, and returns when that callback becomes due.
func sendOne(u *customer) (due time.Time) {
	u.t.Helper()
	u.send(map[string]any{"to": numbers(1), "delivery_report": "per_recipient_final"})
	return time.Now().Add(2 * defaultPace)
}

// offsets returns the times of all posts but the first, relative to the first.
func offsets(posts []post) []time.Duration {
	list := []time.Duration{}
	for _, p := range posts[1:] {
		list = append(list, p.at.Sub(posts[0].at))
	}
	return list
}

func TestAnswerDecidesRetry(t *testing.T) {
	for name, c := range map[string]struct {
		status   int // of the first answer; the second is 200
		attempts int
		result   ledger.Result
		failure  string
	}{
		"200":     {200, 1, ledger.Acknowledged, ""},
		"202":     {202, 1, ledger.Acknowledged, ""},
		"299":     {299, 1, ledger.Acknowledged, ""},
		"302":     {302, 2, ledger.Acknowledged, ""},
		"400":     {400, 1, ledger.GaveUp, ""},
		"401":     {401, 1, ledger.GaveUp, ""},
		"404":     {404, 1, ledger.GaveUp, ""},
		"408":     {408, 1, ledger.GaveUp, ""},
		"413":     {413, 1, ledger.GaveUp, ""},
		"429":     {429, 2, ledger.Acknowledged, ""},
		"500":     {500, 2, ledger.Acknowledged, ""},
		"503":     {503, 2, ledger.Acknowledged, ""},
		"599":     {599, 2, ledger.Acknowledged, ""},
		"timeout": {0, 2, ledger.Acknowledged, "timeout"},
		"reset":   {-1, 2, ledger.Acknowledged, "connection error"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCustomer(t, Config{Calm: true})
				u.answer = func(n int, _ post) int {
					if n == 1 {
						return c.status
					}
					return 200
				}
				u.run()
				due := sendOne(u)
				u.settle()
				posts := u.received()
				require.Len(t, posts, c.attempts)
				require.Equal(t, due, posts[0].at)
				entry := u.sim.Ledger().Callbacks[0]
				require.Equal(t, c.result, entry.Result)
				require.Len(t, entry.Attempts, c.attempts)
				require.Equal(t, max(0, c.status), entry.Attempts[0].Status)
				require.Equal(t, c.failure, entry.Attempts[0].Failure)
				if c.attempts == 2 {
					want := 5 * time.Second
					if c.status == 0 {
						want += 10 * time.Second // the attempt fails at the end of the timeout
					}
					require.Equal(t, want, posts[1].at.Sub(posts[0].at))
					require.Equal(t, posts[0].body, posts[1].body, "a retry must have the same body")
					require.Equal(t, 200, entry.Attempts[1].Status)
				}
			})
		})
	}
}

func TestRetriesDoubleUntilTheCallbackIsGivenUp(t *testing.T) {
	for name, unit := range map[string]time.Duration{"default": 0, "shortened": 10 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCustomer(t, Config{Calm: true, RetryUnit: unit})
				u.answer = func(int, post) int { return 503 }
				u.run()
				sendOne(u)
				u.settle()
				want := []time.Duration{}
				for k := range 15 {
					want = append(want, cmp.Or(unit, 5*time.Second)<<k)
				}
				require.Equal(t, want, offsets(u.received()))
				if unit == 0 {
					require.Equal(t, 81920*time.Second, want[14])
				}
				require.Equal(t, ledger.GaveUp, u.sim.Ledger().Callbacks[0].Result)
				require.Equal(t, 1, u.sim.State().GaveUp)
			})
		})
	}
}

func TestMissingURLIsRetriedUntilItIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		sendOne(u)
		require.NoError(t, u.sim.SetCallbackURL(testPlan, ""))
		u.run()
		time.Sleep(2 * time.Second)
		require.NoError(t, u.sim.SetCallbackURL(testPlan, hooks))
		u.settle()
		entry := u.sim.Ledger().Callbacks[0]
		require.Equal(t, "no callback url", entry.Attempts[0].Failure)
		require.Equal(t, ledger.Acknowledged, entry.Result)
	})
}

// burst sends n messages whose callbacks become due at the same time.
func burst(u *customer, n int) {
	u.send(map[string]any{"to": numbers(n), "delivery_report": "per_recipient_final"})
}

// within counts the posts that arrived in the interval [from, to) after start.
func within(posts []post, start time.Time, from, to time.Duration) int {
	n := 0
	for _, p := range posts {
		if since := p.at.Sub(start); since >= from && since < to {
			n++
		}
	}
	return n
}

func TestTooManyRequestsHalvesTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, RetryUnit: time.Hour, MaxCallbacksInFlight: 1})
		u.answer = func(n int, _ post) int {
			if n == 100 {
				return 429
			}
			return 200
		}
		u.run()
		start := time.Now().Add(2 * defaultPace)
		burst(u, 600)
		time.Sleep(30 * time.Second)
		posts := u.received()
		require.Equal(t, 100, within(posts, start, 0, time.Millisecond)-1,
			"100 posts before the 429, and one that a new limiter permits at once")
		require.InDelta(t, 50, within(posts, start, 100*time.Millisecond, 1100*time.Millisecond), 5)
		later := within(posts, start, 5*time.Second, 6*time.Second)
		require.Greater(t, later, 60, "the rate must recover")
		require.Less(t, later, 80, "the rate must recover slowly")
		require.Len(t, posts, 600, "the callback that was answered 429 must wait for its retry")
		u.settle()
		require.Len(t, u.received(), 601)
		require.Equal(t, 600, u.sim.State().Acknowledged)
	})
}

func TestThrottledURLDoesNotDelayAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, RetryUnit: time.Hour})
		u.answer = func(_ int, p post) int {
			if p.path == "/slow" {
				return 429
			}
			return 200
		}
		u.run()
		u.send(map[string]any{
			"to": numbers(100), "delivery_report": "per_recipient_final",
			"callback_url": "http://customer.test/slow",
		})
		time.Sleep(time.Second)
		burst(u, 100)
		time.Sleep(2 * time.Second)
		require.Equal(t, 100, u.sim.State().Acknowledged)
		require.Less(t, len(u.received()), 190)
	})
}

func TestMaxCallbacksInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, MaxCallbacksInFlight: 7, CallbackTimeout: time.Minute})
		u.answer = func(int, post) int { return 0 }
		u.run()
		burst(u, 50)
		time.Sleep(time.Second)
		require.Len(t, u.received(), 7)
		require.Equal(t, 7, u.sim.State().InFlight)
	})
}

func TestCallbacksDueAtTheSameTimeKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, MaxCallbacksInFlight: 1}).run()
		burst(u, 50)
		u.settle()
		var got []string
		for _, p := range u.received() {
			got = append(got, p.report.Recipient)
		}
		require.Equal(t, numbers(50), got)
	})
}

func TestRunCanBeStoppedAndRestarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, MaxCallbacksInFlight: 4})
		var hang atomic.Bool
		hang.Store(true)
		u.answer = func(int, post) int {
			if hang.Load() {
				return 0
			}
			return 200
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- u.sim.Run(ctx) }()
		burst(u, 20)
		time.Sleep(time.Second)
		require.ErrorIs(t, u.sim.Run(ctx), ErrRunning)
		stop()
		require.NoError(t, <-done)
		require.Zero(t, u.sim.State().InFlight)
		require.Equal(t, 20, u.sim.State().Pending)
		require.False(t, u.sim.Settled())

		hang.Store(false)
		u.run().settle()
		l := u.sim.Ledger()
		require.Equal(t, 20, u.sim.State().Acknowledged)
		require.Equal(t, "interrupted", l.Callbacks[0].Attempts[0].Failure)
	})
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		u.answer = func(int, post) int { return http.StatusTemporaryRedirect }
		u.run()
		sendOne(u)
		time.Sleep(time.Second)
		require.Len(t, u.received(), 1)
	})
}
