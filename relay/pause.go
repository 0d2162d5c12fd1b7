package relay

import "time"

// Pause is a time in which no calls are made. The zero value is over. It is not safe for concurrent use.
type Pause struct {
	Until time.Time
}

// Extend makes the pause last for d from now on, unless it lasts longer already. b limits it as in Left.
func (p *Pause) Extend(now time.Time, d time.Duration, b Backoff) {
	if d > p.Left(now, b) {
		p.Until = now.Add(d)
	}
}

// Left returns how long the pause still lasts, or 0 if it is over. It also returns 0 if that is more than b.Longest,
// because then the clock was set back.
func (p *Pause) Left(now time.Time, b Backoff) time.Duration {
	left := p.Until.Sub(now)
	if left > b.Longest() {
		return 0
	}
	return max(left, 0)
}
