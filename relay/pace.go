package relay

import (
	"time"

	"golang.org/x/time/rate"
)

const (
	// slowest is the part of the configured rate that answers of 429 can bring it down to.
	slowest = 1.0 / 64
	// recovery is how long the rate takes from nothing to what is configured.
	recovery = time.Minute
	// together is how long after a drop another answer of 429 is taken for one to a call made before it.
	together = time.Second
)

// pace is the rate of one plan's calls. Sinch publishes no limit, so it is found: an answer of 429 halves the rate, and it
// recovers evenly while others come. Calls are counted when their claim is made, so that no lease runs while a task waits
// for its turn. Its lane's loop owns it; only spend may be called by others.
type pace struct {
	limiter *rate.Limiter
	full    rate.Limit
	dropped time.Time // when the rate was halved last
	changed time.Time // when it was dropped or raised last
}

func newPace(perSecond float64, burst int) *pace {
	return &pace{limiter: rate.NewLimiter(rate.Limit(perSecond), burst), full: rate.Limit(perSecond)}
}

// room is how many calls may begin at now.
func (p *pace) room(now time.Time) int { return max(int(p.limiter.TokensAt(now)), 0) }

// next is how long it takes from now until a call may begin.
func (p *pace) next(now time.Time) time.Duration {
	short := 1 - p.limiter.TokensAt(now)
	if short <= 0 {
		return 0
	}
	return time.Duration(short/float64(p.limiter.Limit())*float64(time.Second)) + time.Millisecond
}

// spend counts a call. It never waits: a call beyond the rate makes later ones wait.
func (p *pace) spend(now time.Time) { p.limiter.ReserveN(now, 1) }

// drop halves the rate. Calls that were in flight together count as one.
func (p *pace) drop(now time.Time) {
	if now.Sub(p.dropped) < together {
		return
	}
	p.limiter.SetLimitAt(now, max(p.limiter.Limit()/2, p.full*slowest))
	p.dropped, p.changed = now, now
}

// raise lets the rate recover by the time since it last changed.
func (p *pace) raise(now time.Time) {
	limit := p.limiter.Limit()
	if limit >= p.full {
		return
	}
	gained := p.full * rate.Limit(now.Sub(p.changed).Seconds()/recovery.Seconds())
	p.limiter.SetLimitAt(now, min(limit+gained, p.full))
	p.changed = now
}
