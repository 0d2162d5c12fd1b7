package relay

import (
	"cmp"
	"math"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// Backoff spaces the attempts of one task: after n failures the task waits a random time of up to Base·2ⁿ, but at most
// Cap. A plan whose credentials Sinch refuses pauses for Cap. A zero field means its default.
type Backoff struct {
	Base time.Duration // default 1 s
	Cap  time.Duration // default 10 min
}

// WithDefaults returns b with the default in each zero field.
func (b Backoff) WithDefaults() Backoff {
	return Backoff{Base: cmp.Or(b.Base, time.Second), Cap: cmp.Or(b.Cap, 10*time.Minute)}
}

// Check calls report for a field that is negative, or for cap if that is less than base.
func (b Backoff) Check(report func(member, text string)) {
	switch all := b.WithDefaults(); {
	case b.Base < 0:
		report("base", "must not be negative")
	case b.Cap < 0:
		report("cap", "must not be negative")
	case all.Cap < all.Base:
		report("cap", "is less than base; the cap is the longest wait")
	}
}

// Delay returns how long a task waits after a failure that attempts failures preceded: a random time below
// Base·2^attempts and Cap, but at least retryAfter. random is in [0, 1). Full jitter spreads tasks that failed together
// best.
func (b Backoff) Delay(attempts int, retryAfter time.Duration, random float64) time.Duration {
	most := math.Min(float64(b.Cap), math.Ldexp(float64(b.Base), attempts))
	return max(time.Duration(random*most), retryAfter)
}

// CapRetryAfter limits the Retry-After of an answer. A 429 is Sinch's own rate limit and may ask for up to
// store.MaxRetryAfter, or Cap if that is longer. Any other answer, such as a 503 from a proxy, is limited to Cap.
func (b Backoff) CapRetryAfter(r store.Reason, retryAfter time.Duration) time.Duration {
	if r == store.ReasonRateLimited {
		return min(retryAfter, max(store.MaxRetryAfter, b.Cap))
	}
	return min(retryAfter, b.Cap)
}
