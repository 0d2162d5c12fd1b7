package relay

import (
	"math"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// delay returns how long a task waits after a failure that attempts failures preceded: a random time below
// Base·2^attempts and Cap, but at least retryAfter. random is in [0, 1). Full jitter spreads tasks that failed together
// best.
func (b Backoff) delay(attempts int, retryAfter time.Duration, random float64) time.Duration {
	most := math.Min(float64(b.Cap), math.Ldexp(float64(b.Base), attempts))
	return max(time.Duration(random*most), retryAfter)
}

// capRetryAfter limits the Retry-After of an answer. A 429 is Sinch's own rate limit and may ask for up to
// store.MaxRetryAfter, or Cap if that is longer. Any other answer, such as a 503 from a proxy, is limited to Cap.
func (b Backoff) capRetryAfter(r store.Reason, retryAfter time.Duration) time.Duration {
	if r == store.ReasonRateLimited {
		return min(retryAfter, max(store.MaxRetryAfter, b.Cap))
	}
	return min(retryAfter, b.Cap)
}
