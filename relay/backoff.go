package relay

import (
	"cmp"
	"math"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// Backoff configures the random delay before a call is retried: after n failures at most Base·2ⁿ, but never more than
// Cap. A service plan that Sinch refuses as a whole gets no calls for Cap. A zero field means its default.
type Backoff struct {
	Base time.Duration // default 1 s
	Cap  time.Duration // default 10 min
}

// WithDefaults returns a copy of b in which each zero field has its default.
func (b Backoff) WithDefaults() Backoff {
	return Backoff{Base: cmp.Or(b.Base, time.Second), Cap: cmp.Or(b.Cap, 10*time.Minute)}
}

// Check calls report if a field is invalid, with the field's configuration key (base or cap) and what is wrong. It
// reports at most one field. A negative field is invalid, and so is a Cap below Base.
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

// Delay returns how long to wait before the next retry. The wait is random, but at most Base·2^attempts or Cap,
// whichever is shorter. It is at least retryAfter, which is the Retry-After of Sinch's answer (0 if it has none).
// attempts is the number of earlier failures, and random a number in [0, 1). Set Base and Cap before, for example by
// WithDefaults.
func (b Backoff) Delay(attempts int, retryAfter time.Duration, random float64) time.Duration {
	most := math.Min(float64(b.Cap), math.Ldexp(float64(b.Base), attempts))
	return max(time.Duration(random*most), retryAfter)
}

// CapRetryAfter returns the shorter of retryAfter, which is the Retry-After of an answer with reason r, and the limit
// for this reason. The limit is b.Longest() if the answer is 429 (store.ReasonRateLimited), otherwise b.Cap.
func (b Backoff) CapRetryAfter(r store.Reason, retryAfter time.Duration) time.Duration {
	if r == store.ReasonRateLimited {
		return min(retryAfter, b.Longest())
	}
	return min(retryAfter, b.Cap)
}

// Longest returns the longest wait before a retry: Cap, or store.MaxRetryAfter if that is longer.
func (b Backoff) Longest() time.Duration { return max(b.Cap, store.MaxRetryAfter) }
