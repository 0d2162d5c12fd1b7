package relay

import (
	"time"

	"golang.org/x/time/rate"
)

const (
	// slowest is the rate that trouble can bring a plan down to, in calls a second, or a sixteenth of the ceiling if that is
	// less.
	slowest = 1.0
	// recovery is how long the rate takes from nothing to the ceiling.
	recovery = time.Minute
	// together is how long after a drop further trouble is taken for that of calls made before it.
	together = time.Second
	// burst is for how long calls can be saved up.
	burst = 100 * time.Millisecond
)

// pace is the rate of one plan's calls. Sinch publishes no limit, so it is found: the rate starts at the ceiling, halves when
// Sinch is troubled, and grows evenly while it is not (AIMD): gently up to the rate at which trouble began, and from there in
// a minute to the ceiling. Calls count when their claim is made, so that no lease runs while a task waits for its turn. The
// lane's loop owns pace; only spend may be called by others.
//
// Rates are those of all replicas together, of which this replica has its share.
type pace struct {
	limiter *rate.Limiter
	ceiling float64
	workers int
	share   float64
	rate    float64   // of all replicas
	trouble float64   // the rate at which trouble began
	calm    bool      // Sinch accepted a call since the rate dropped
	dropped time.Time // when the rate was halved last
	changed time.Time // when the rate changed last
}

func newPace(ceiling float64, workers int, share float64) *pace {
	p := &pace{ceiling: ceiling, workers: workers, share: share, rate: ceiling, trouble: ceiling, calm: true}
	p.limiter = rate.NewLimiter(p.limit(), p.most())
	return p
}

// limit is the rate of this replica.
func (p *pace) limit() rate.Limit { return rate.Limit(p.rate * p.share) }

// most is how many calls can be saved up. Who has a share has one, so that it calls at all.
func (p *pace) most() int {
	if p.share == 0 {
		return 0
	}
	return max(min(int(float64(p.limit())*burst.Seconds()), p.workers), 1)
}

// apply makes the limiter follow.
func (p *pace) apply(now time.Time) {
	p.limiter.SetLimitAt(now, p.limit())
	p.limiter.SetBurstAt(now, p.most())
}

// take makes a share of the whole this replica's, and reports whether it had another. Saved calls beyond the new burst are
// lost; without a share no call may begin.
func (p *pace) take(share float64, now time.Time) bool {
	if share == p.share {
		return false
	}
	p.share = share
	p.apply(now)
	return true
}

// room is how many calls may begin at now.
func (p *pace) room(now time.Time) int { return max(int(p.limiter.TokensAt(now)), 0) }

// next is how long it takes from now until a call may begin. There has to be a share.
func (p *pace) next(now time.Time) time.Duration {
	short := 1 - p.limiter.TokensAt(now)
	if short <= 0 {
		return 0
	}
	return time.Duration(short/float64(p.limiter.Limit())*float64(time.Second)) + time.Millisecond
}

// spend counts a call. It never waits: a call beyond the rate makes later ones wait.
func (p *pace) spend(now time.Time) { p.limiter.ReserveN(now, 1) }

// drop halves the rate, and reports whether it did. Calls that were in flight together count as one.
func (p *pace) drop(now time.Time) bool {
	if now.Sub(p.dropped) < together {
		return false
	}
	if p.calm {
		p.trouble, p.calm = p.rate, false
	}
	p.rate = max(p.rate/2, min(slowest, p.ceiling/16))
	p.dropped, p.changed = now, now
	p.apply(now)
	return true
}

// raise lets the rate recover by the time since it last changed, and reports whether it did.
func (p *pace) raise(now time.Time) bool {
	p.calm = true
	if p.rate >= p.ceiling {
		return false
	}
	step := p.ceiling
	if p.rate < p.trouble {
		step = p.trouble
	}
	p.rate = min(p.rate+step*now.Sub(p.changed).Seconds()/recovery.Seconds(), p.ceiling)
	p.changed = now
	p.apply(now)
	return true
}
