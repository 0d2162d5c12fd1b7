package relay

import (
	"cmp"
	"math"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// Backoff configures the delay between retries: after n failures, a random time of up to Base·2ⁿ, but at most Cap. A
// plan whose credentials Sinch refuses pauses for Cap. A zero field means its default.
type Backoff struct {
	Base time.Duration // default 1 s
	Cap  time.Duration // default 10 min
}

// WithDefaults returns a copy of b in which each zero field has its default.
func (b Backoff) WithDefaults() Backoff {
	return Backoff{Base: cmp.Or(b.Base, time.Second), Cap: cmp.Or(b.Cap, 10*time.Minute)}
}

// Check calls report if a field is invalid, once at most, with the name of the field (base or cap) and what is wrong. A
// negative field is invalid, and so is a Cap below Base after the defaults are applied.
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

// Delay returns how long to wait before the next retry: random times the smaller of Base·2^attempts and Cap, but at
// least retryAfter. Pass as attempts the number of earlier failures, the Retry-After of the answer (0 for none) and a
// random number in [0, 1). Base and Cap must be set, for example by WithDefaults.
func (b Backoff) Delay(attempts int, retryAfter time.Duration, random float64) time.Duration {
	most := math.Min(float64(b.Cap), math.Ldexp(float64(b.Base), attempts))
	return max(time.Duration(random*most), retryAfter)
}

// CapRetryAfter returns the Retry-After of an answer, limited to Cap. If the reason is a 429 (store.ReasonRateLimited),
// the limit is the longer of Cap and store.MaxRetryAfter.
func (b Backoff) CapRetryAfter(r store.Reason, retryAfter time.Duration) time.Duration {
	if r == store.ReasonRateLimited {
		return min(retryAfter, max(store.MaxRetryAfter, b.Cap))
	}
	return min(retryAfter, b.Cap)
}
