package boltstore

import (
	"time"

	"github.com/dlrloop/dlrloop/store/boltstore/internal/backlog"
)

const (
	// yieldAfter is how long a large step works before it yields.
	yieldAfter = 100 * time.Microsecond
	// yieldFactor is how many times the time worked a large step then sleeps.
	yieldFactor = 3
	// yieldSlice is the longest single sleep, and so the longest time that a caller waits for a sleeping step to
	// continue.
	yieldSlice = 5 * time.Millisecond
)

// yielder spreads the CPU work of a large step over the time until the next one. Otherwise the fold would delay
// answers to callbacks noticeably once a second. It does not sleep while the fold must not pause (see
// backlog.Queue.State).
//
// The step sleeps inside its write transaction. Commits of arrivals do not need the database, so the sleep costs them
// nothing. Reads wake the step. Only retention waits, for at most three quarters of Config.FoldEvery.
type yielder struct {
	backlog *backlog.Queue
	until   time.Time     // no sleeping from then on; zero for a small step, which never sleeps
	begun   time.Time     // since when the step works without a sleep
	yielded time.Duration // time slept so far
}

// newYielder returns the yielder of one step.
func newYielder(s *Store, w backlog.Work) *yielder {
	y := &yielder{backlog: s.backlog, begun: time.Now()}
	if w.Busy() {
		y.until = y.begun.Add(s.config.FoldEvery * 3 / 4)
	}
	return y
}

// yield sleeps if the step has worked for yieldAfter since the last sleep. It stops sleeping when the fold must not
// pause any longer.
func (y *yielder) yield() {
	now := time.Now()
	worked := now.Sub(y.begun)
	left := min(yieldFactor*worked, y.until.Sub(now))
	if worked < yieldAfter || left <= 0 {
		return
	}
	for ; left > 0; left -= yieldSlice {
		if urgent, ended := y.backlog.State(backlog.WhileFolding); urgent || ended {
			break
		}
		time.Sleep(min(left, yieldSlice))
	}
	y.begun = time.Now()
	y.yielded += y.begun.Sub(now)
}
