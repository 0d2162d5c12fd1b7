package boltstore

import "time"

const (
	// strideWork is how long a large step works before it rests.
	strideWork = 100 * time.Microsecond
	// strideRest is how many times as long it rests then.
	strideRest = 3
)

// stride spreads the work of a large step over the time until the next, so that those who wait for an answer share the
// processors with a little work all the time and not with much of it once a second. It does not rest while a reader waits,
// or while more comes in than it folds.
type stride struct {
	backlog *backlog
	until   time.Time // it hurries from then on; zero for a small step, which never rests
	begun   time.Time
	rested  time.Duration // so far
}

func newStride(s *Store, w work) *stride {
	r := &stride{backlog: s.backlog, begun: time.Now()}
	if w.busy() {
		r.until = r.begun.Add(s.config.FoldEvery * 3 / 4)
	}
	return r
}

// rest rests if enough was done since the last time.
func (r *stride) rest() {
	now := time.Now()
	worked := now.Sub(r.begun)
	if worked < strideWork || now.After(r.until) {
		return
	}
	if hurry, ended := r.backlog.state(folding); !hurry && !ended {
		time.Sleep(strideRest * worked)
		r.rested += time.Since(now)
	}
	r.begun = time.Now()
}
