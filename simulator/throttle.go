package simulator

import (
	"time"

	"golang.org/x/time/rate"
)

// throttle is how much slower callbacks go towards one URL since it answered 429. Each 429 halves the rate that was reached,
// yet at most once a second, since a burst in flight together is one complaint. Every second without a 429 gives a
// fifteenth back, so a halving is made good in about ten seconds; past the rate at which the first 429 came there is no
// limit again. The zero value is no limit.
type throttle struct {
	limiter *rate.Limiter // nil: no limit
	ceiling rate.Limit    // the rate at which the first 429 came
	changed time.Time     // of the limit

	second time.Time // start of the second that sent counts in
	sent   int
	before int // sent in the second before
}

const (
	slowest  rate.Limit = 1 // callback a second
	recovery            = 16.0 / 15
)

// wait takes a place for one callback, or says how long until there is one.
func (t *throttle) wait(now time.Time) time.Duration {
	t.restore(now)
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

// complain takes note of a 429.
func (t *throttle) complain(now time.Time) {
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

// restore gives back what the whole seconds without a 429 have earned.
func (t *throttle) restore(now time.Time) {
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
