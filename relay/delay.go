package relay

import (
	"math"
	"time"
)

// delay is how long a task waits after it failed once more than attempts times: random, below Base·2^attempts and Cap, and
// never less than what Sinch asked for. random is in [0, 1). Such full jitter spreads tasks that failed together best.
func (b Backoff) delay(attempts int, retryAfter time.Duration, random float64) time.Duration {
	most := math.Min(float64(b.Cap), math.Ldexp(float64(b.Base), attempts))
	return max(time.Duration(random*most), retryAfter)
}
