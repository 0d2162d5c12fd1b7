package boltstore

import (
	"sync/atomic"
	"time"

	"github.com/dlrloop/dlrloop/store/boltstore/internal/backlog"
)

const (
	// yieldAfter is how long a large step works before it yields.
	yieldAfter = 100 * time.Microsecond
	// yieldFactor is how long a large step then sleeps, as a multiple of the time that it worked.
	yieldFactor = 3
	// yieldSlice is the longest single sleep, so a caller that waits for the fold is delayed by no more than this.
	yieldSlice = 5 * time.Millisecond
)

// yielder makes a large transaction of foldLoop sleep now and then, so that it does not delay responses to callbacks.
// It does not sleep while a read or an urgent write waits or memory is short, or after three quarters of
// Config.FoldEvery.
type yielder struct {
	backlog *backlog.Queue
	writers *atomic.Int32 // how many urgent writes wait for the end of the step
	until   time.Time     // no sleeping from then on; zero for a small step, which never sleeps
	begun   time.Time     // since when the step works without a sleep
	yielded time.Duration // time slept so far
}

// newYielder returns the yielder of the transaction that applies w. A small one (see Work.Busy) never sleeps.
func newYielder(s *Store, w backlog.Work) *yielder {
	y := &yielder{backlog: s.backlog, writers: &s.urgent, begun: time.Now()}
	if w.Busy() {
		y.until = y.begun.Add(s.config.FoldEvery * 3 / 4)
	}
	return y
}

// yield sleeps if the transaction has worked for yieldAfter since the last sleep. It wakes up early if a read or an
// urgent write waits.
func (y *yielder) yield() {
	now := time.Now()
	worked := now.Sub(y.begun)
	left := min(yieldFactor*worked, y.until.Sub(now))
	if worked < yieldAfter || left <= 0 {
		return
	}
	for ; left > 0; left -= yieldSlice {
		if urgent, ended := y.backlog.State(backlog.WhileFolding); urgent || ended || y.writers.Load() > 0 {
			break
		}
		time.Sleep(min(left, yieldSlice))
	}
	y.begun = time.Now()
	y.yielded += y.begun.Sub(now)
}
