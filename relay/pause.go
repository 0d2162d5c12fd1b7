package relay

import "time"

// Pause is a time in which no calls are made. It ends at the time in field Until. The zero value is a pause that is
// over. A Pause is not safe for concurrent use.
type Pause struct {
	Until time.Time
}

// Extend sets p.Until to now+d, unless the pause lasts longer already. An existing pause that would last longer than
// b.Longest() counts as over (see Left), so Extend replaces it.
func (p *Pause) Extend(now time.Time, d time.Duration, b Backoff) {
	if d > p.Left(now, b) {
		p.Until = now.Add(d)
	}
}

// Left returns how long the pause still lasts after the given time, now. It returns 0 if the pause is over. It also
// returns 0 if more than b.Longest() is left: no pause is so long, so the clock must have been set back.
func (p *Pause) Left(now time.Time, b Backoff) time.Duration {
	left := p.Until.Sub(now)
	if left > b.Longest() {
		return 0
	}
	return max(left, 0)
}
