package relay

import (
	"math"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// delay is how long a task waits after it failed once more than attempts times: random, below Base·2^attempts and Cap, and
// never less than what Sinch asked for. random is in [0, 1). Such full jitter spreads tasks that failed together best.
func (b Backoff) delay(attempts int, retryAfter time.Duration, random float64) time.Duration {
	most := math.Min(float64(b.Cap), math.Ldexp(float64(b.Base), attempts))
	return max(time.Duration(random*most), retryAfter)
}

// honoured is how much of a Retry-After is waited for. A 429 is Sinch's own limit; anything else, such as a 503 of a proxy,
// waits no longer than it would without the header.
func (b Backoff) honoured(r store.Reason, retryAfter time.Duration) time.Duration {
	if r == store.ReasonRateLimited {
		return min(retryAfter, max(store.MaxRetryAfter, b.Cap))
	}
	return min(retryAfter, b.Cap)
}
