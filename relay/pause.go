package relay

import "time"

// Pause is a time in which no calls are made, until Until. The zero value is a pause that is over. It is not safe for
// concurrent use.
type Pause struct {
	Until time.Time
}

// Extend makes the pause end d after now, unless it already ends later. A pause of more than b.Longest is replaced,
// since it counts as over (see Left).
func (p *Pause) Extend(now time.Time, d time.Duration, b Backoff) {
	if d > p.Left(now, b) {
		p.Until = now.Add(d)
	}
}

// Left returns how long the pause still lasts at now, or 0 if it is over. It also returns 0 if more than b.Longest is
// left: no pause is so long, so the clock must have been set back.
func (p *Pause) Left(now time.Time, b Backoff) time.Duration {
	left := p.Until.Sub(now)
	if left > b.Longest() {
		return 0
	}
	return max(left, 0)
}
