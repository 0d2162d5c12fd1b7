package boltstore

import (
	"fmt"
	"time"
)

const (
	// maxStep bounds the rows of one transaction, however fast the fold is.
	maxStep = 100_000
	// busyStep is a step with so many rows that a larger one is worth waiting for.
	busyStep = 512
	// rest is how many times its own duration the fold rests after a small step, so that it leaves the disk to the journal.
	rest = 8
)

// foldLoop folds what is durable: at once when little comes, in larger steps under load, and at once when a reader waits.
func (s *Store) foldLoop() {
	pause := time.Duration(0)
	for {
		s.pace(pause)
		var w work
		taken := s.untilDone(func() (err error) {
			w, err = s.backlog.take(s.measured.room(s.config.StepBytes))
			return err
		})
		if !taken {
			return
		}
		s.mendMet(w)
		if len(w.parts) == 0 {
			if _, ended := s.backlog.state(idle); ended {
				return
			}
			pause = 0
			<-s.backlog.news
			continue
		}
		begin := time.Now()
		if !s.untilDone(func() error { return s.foldMended(w) }) {
			return
		}
		if pause = rest * time.Since(begin); w.busy() {
			pause = s.config.FoldEvery - time.Since(begin)
		}
		pause = min(pause, s.config.FoldEvery)
	}
}

// pace waits for d, but no longer than until a reader waits, enough for a step waits or the store ends.
func (s *Store) pace(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		if hurry, ended := s.backlog.state(idle); hurry || ended {
			return
		}
		select {
		case <-timer.C:
			return
		case <-s.backlog.news:
		}
	}
}

// untilDone calls do until it succeeds, for instance while the disk is full. It returns false when the store has ended.
func (s *Store) untilDone(do func() error) bool {
	var failures incident
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := do()
		if err == nil {
			return true
		}
		if failures.counts(time.Now()) || ends(err) {
			s.trouble("fold", err)
		}
		if s.Err() != nil {
			return false
		}
		s.backlog.stall()
		if _, ended := s.backlog.state(idle); ended {
			return false
		}
		select {
		case <-time.After(wait):
		case <-s.failed:
			return false
		}
	}
}

// foldStep takes w into the database in one transaction.
func (s *Store) foldStep(w work) (err error) {
	begin := time.Now()
	s.writing.Lock()
	defer s.writing.Unlock()
	tx, err := s.db.Begin(true)
	if err != nil {
		return fatal(fmt.Errorf("begin: %w", err))
	}
	st := newStep(s, tx)
	// A page that is damaged makes bbolt panic.
	if err := guarded(func() error { return st.fold(w) }); err != nil {
		return fatal(fmt.Errorf("fold: %w", joinRollback(tx, err)))
	}
	if err := guarded(tx.Commit); err != nil {
		_ = tx.Rollback() // done already, unless bbolt panicked: then Close would wait for it
		return fatal(fmt.Errorf("commit: %w", err))
	}
	st.keep()
	s.measured.step(w.size, time.Since(begin)-st.stride.rested, tx.Stats())
	s.journal.fold(w.to.seq)
	s.publish()
	s.leases.folded(st.settled)
	s.backlog.reached(w, s.measured.allowance())
	if o := s.config.Observer.Folded; o != nil && len(st.changes) > 0 {
		o(st.changes)
	}
	if o := s.config.Observer.Evicted; o != nil && st.evicted > 0 {
		o(st.evicted)
	}
	return nil
}
