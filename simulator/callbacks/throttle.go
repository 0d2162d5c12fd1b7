package callbacks

import (
	"time"

	"golang.org/x/time/rate"
)

// throttle limits the rate of callbacks to one URL after an answer 429. Each 429 halves the limit, at most once a
// second. Each second without a 429 multiplies it by 16/15. Once the limit reaches the rate at which the first 429
// came, it is removed. The zero value has no limit.
type throttle struct {
	limiter *rate.Limiter // nil: no limit
	ceiling rate.Limit    // the rate at which the first 429 came
	changed time.Time     // when the limit was last changed

	second time.Time // start of the second that sent counts
	sent   int
	before int // number sent in the previous second
}

const (
	slowest  rate.Limit = 1 // callback per second
	recovery            = 16.0 / 15
)

// reserve returns 0 if a callback may be sent now, and counts this callback. Otherwise it returns how long to wait
// before the next call, and counts nothing.
func (t *throttle) reserve(now time.Time) time.Duration {
	t.speedUp(now)
	if t.limiter != nil {
		place := t.limiter.ReserveN(now, 1)
		if delay := place.DelayFrom(now); delay > 0 {
			place.CancelAt(now)
			return delay
		}
	}
	t.count(now)
	return 0
}

// slowDown lowers the rate limit after an answer 429: to half the old limit or half the present rate, whichever is
// lower, but never below one callback per second. The present rate is the number of callbacks sent in this second or in
// the previous one, whichever is higher. slowDown does nothing if the limit changed less than a second ago.
func (t *throttle) slowDown(now time.Time) {
	if t.limiter != nil && now.Sub(t.changed) < time.Second {
		return
	}
	reached := rate.Limit(max(t.sent, t.before))
	if t.limiter == nil {
		t.ceiling = max(reached, 2*slowest)
		t.limiter = rate.NewLimiter(reached, 1)
	}
	t.limiter.SetLimitAt(now, max(slowest, min(t.limiter.Limit(), reached)/2))
	t.changed = now
}

// speedUp multiplies the rate limit by 16/15 for each whole second since the limit last changed. Once the limit reaches
// the rate at which the first 429 came, speedUp removes the limit.
func (t *throttle) speedUp(now time.Time) {
	if t.limiter == nil || now.Sub(t.changed) < time.Second {
		return
	}
	limit := t.limiter.Limit()
	for ; now.Sub(t.changed) >= time.Second; t.changed = t.changed.Add(time.Second) {
		if limit *= recovery; limit >= t.ceiling {
			t.limiter = nil
			return
		}
	}
	t.limiter.SetLimitAt(now, limit)
}

func (t *throttle) count(now time.Time) {
	since := now.Sub(t.second)
	if since >= time.Second {
		t.before, t.second, t.sent = t.sent, now, 0
	}
	if since >= 2*time.Second {
		t.before = 0
	}
	t.sent++
}
