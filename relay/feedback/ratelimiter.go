package feedback

import (
	"time"

	"golang.org/x/time/rate"
)

// The parameters of rateLimiter, which limits the feedback calls per second of a service plan. They say how far and how
// often its rate falls after failures, and how fast it grows again.
const (
	// minRate is the lowest rate that failures can reduce a plan to, in calls per second, or a sixteenth of the ceiling
	// if that is less.
	minRate = 1.0
	// recovery is how long the rate takes to grow from zero to the ceiling.
	recovery = time.Minute
	// decreaseInterval is the minimum time between two decreases. Failures within it come from calls made before.
	decreaseInterval = time.Second
	// burst limits how many unused calls accumulate: as many as the rate allows in this time.
	burst = 100 * time.Millisecond
)

// rateLimiter limits the calls per second of one service plan. Sinch publishes no limit, so the rate starts at a
// ceiling, halves when Sinch answers 429 or 5xx or times out, and grows while calls succeed. The rate is the total of
// all processes that share the store; this process may use a fraction of it (quotaShare). Only spend is safe for
// concurrent use.
type rateLimiter struct {
	tokens      *rate.Limiter
	ceiling     float64   // highest rate of all replicas, in calls per second
	workers     int       // maximum burst
	quotaShare  float64   // this replica's quota share, 0 to 1
	rate        float64   // current rate of all replicas, in calls per second
	threshold   float64   // the rate at which the last failures began
	accepted    bool      // Sinch accepted a call since the last decrease
	decreasedAt time.Time // time of the last decrease
	changedAt   time.Time // time of the last decrease or increase
}

// newRateLimiter returns the limiter of a service plan. ceiling is the first and highest rate, in calls per second; it
// is the total of all processes that share the store. share is the fraction of the rate that this process may use, 0 to
// 1. workers limits how many calls may begin at the same time after a time without calls.
func newRateLimiter(ceiling float64, workers int, share float64) *rateLimiter {
	r := &rateLimiter{
		ceiling: ceiling, workers: workers, quotaShare: share, rate: ceiling, threshold: ceiling, accepted: true,
	}
	r.tokens = rate.NewLimiter(r.limit(), r.maxTokens())
	return r
}

// limit returns the current rate of this process, in calls per second.
func (r *rateLimiter) limit() rate.Limit { return rate.Limit(r.rate * r.quotaShare) }

// maxTokens returns how many calls may begin at the same time after a time without calls. It returns 0 if this process
// may make no calls, and otherwise at least 1, because with 0 no call could ever begin.
func (r *rateLimiter) maxTokens() int {
	if r.quotaShare == 0 {
		return 0
	}
	return max(min(int(float64(r.limit())*burst.Seconds()), r.workers), 1)
}

// apply passes a changed rate or quota share on to the token bucket (r.tokens), which grants the calls. Call it after
// each change.
func (r *rateLimiter) apply(now time.Time) {
	r.tokens.SetLimitAt(now, r.limit())
	r.tokens.SetBurstAt(now, r.maxTokens())
}

// setQuotaShare sets the fraction of the rate that this process may use, 0 to 1, and reports whether the fraction
// changed. With 0 no call may begin.
func (r *rateLimiter) setQuotaShare(share float64, now time.Time) bool {
	if share == r.quotaShare {
		return false
	}
	r.quotaShare = share
	r.apply(now)
	return true
}

// available returns how many calls may begin at the given time without exceeding the rate.
func (r *rateLimiter) available(now time.Time) int { return max(int(r.tokens.TokensAt(now)), 0) }

// untilNext returns how long after the given time the next call may begin. Do not call untilNext if this process may
// make no calls (a quota share of 0), because then there is no next call.
func (r *rateLimiter) untilNext(now time.Time) time.Duration {
	short := 1 - r.tokens.TokensAt(now)
	if short <= 0 {
		return 0
	}
	return time.Duration(short/float64(r.tokens.Limit())*float64(time.Second)) + time.Millisecond
}

// spend counts a call that begins at the given time. It never blocks: a call beyond the rate delays later calls
// instead. spend is safe for concurrent use.
func (r *rateLimiter) spend(now time.Time) { r.tokens.ReserveN(now, 1) }

// decrease halves the rate and reports whether it did. It does nothing within decreaseInterval (a second) of the last
// decrease.
func (r *rateLimiter) decrease(now time.Time) bool {
	if now.Sub(r.decreasedAt) < decreaseInterval {
		return false
	}
	if r.accepted {
		r.threshold, r.accepted = r.rate, false
	}
	r.rate = max(r.rate/2, min(minRate, r.ceiling/16))
	r.decreasedAt, r.changedAt = now, now
	r.apply(now)
	return true
}

// increase raises the rate in proportion to the time since its last change, up to the ceiling, and reports whether the
// rate changed. Call it after each call that Sinch answered in time, other than with 429 or 5xx.
func (r *rateLimiter) increase(now time.Time) bool {
	r.accepted = true
	if r.rate >= r.ceiling {
		return false
	}
	step := r.ceiling
	if r.rate < r.threshold {
		step = r.threshold
	}
	r.rate = min(r.rate+step*now.Sub(r.changedAt).Seconds()/recovery.Seconds(), r.ceiling)
	r.changedAt = now
	r.apply(now)
	return true
}
