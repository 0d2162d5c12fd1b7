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
//
// Rate and burst are those of all replicas together, of which this one has its share.
type pace struct {
	limiter *rate.Limiter
	full    rate.Limit // of all replicas
	burst   int        // of all replicas
	share   float64
	factor  float64   // what answers of 429 have left of the rate
	dropped time.Time // when the rate was halved last
	changed time.Time // when it was dropped or raised last
}

func newPace(perSecond float64, burst int, share float64) *pace {
	p := &pace{full: rate.Limit(perSecond), burst: burst, share: share, factor: 1}
	p.limiter = rate.NewLimiter(p.limit(), p.most())
	return p
}

func (p *pace) limit() rate.Limit { return p.full * rate.Limit(p.share*p.factor) }

// most is how many calls can be saved up. Who has a share has one, so that it calls at all.
func (p *pace) most() int {
	if p.share == 0 {
		return 0
	}
	return max(int(float64(p.burst)*p.share), 1)
}

// take makes a share of the whole this one's. What was saved up and is more than it allows is lost; without a share that is all, and
// no call may begin.
func (p *pace) take(share float64, now time.Time) {
	if share != p.share {
		p.share = share
		p.limiter.SetLimitAt(now, p.limit())
		p.limiter.SetBurstAt(now, p.most())
	}
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

// drop halves the rate. Calls that were in flight together count as one.
func (p *pace) drop(now time.Time) {
	if now.Sub(p.dropped) < together {
		return
	}
	p.factor = max(p.factor/2, slowest)
	p.limiter.SetLimitAt(now, p.limit())
	p.dropped, p.changed = now, now
}

// raise lets the rate recover by the time since it last changed.
func (p *pace) raise(now time.Time) {
	if p.factor >= 1 {
		return
	}
	p.factor = min(p.factor+now.Sub(p.changed).Seconds()/recovery.Seconds(), 1)
	p.limiter.SetLimitAt(now, p.limit())
	p.changed = now
}
