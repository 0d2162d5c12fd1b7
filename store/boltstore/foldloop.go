package boltstore

import (
	"fmt"
	"time"
)

const (
	// maxStep bounds the rows of one transaction, and with them its memory and how long everything else waits for it.
	maxStep = 100_000
	// busyStep is a step with so many arrivals that a larger one is worth waiting for.
	busyStep = 256
	// rest is how many times its own duration the fold rests after a small step, so that it leaves the disk to the journal.
	rest = 8
)

// foldLoop folds what is durable: at once when little comes, in larger steps under load, and at once when a reader waits.
func (s *Store) foldLoop() {
	pause := time.Duration(0)
	for {
		s.pace(pause)
		groups := s.backlog.take(maxStep)
		if len(groups) == 0 {
			if _, _, ended := s.backlog.state(); ended {
				return
			}
			pause = 0
			<-s.backlog.news
			continue
		}
		begin, arrivals := time.Now(), 0
		for _, g := range groups {
			arrivals += len(g.arrivals)
		}
		if !s.foldUntilDone(groups) {
			return
		}
		if pause = rest * time.Since(begin); arrivals >= busyStep {
			pause = s.config.FoldEvery - time.Since(begin)
		}
		pause = min(pause, s.config.FoldEvery)
	}
}

// pace waits for d, but no longer than until a reader waits, the backlog fills a step or the store ends.
func (s *Store) pace(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		if rows, wanted, ended := s.backlog.state(); wanted || ended || rows >= maxStep {
			return
		}
		select {
		case <-timer.C:
			return
		case <-s.backlog.news:
		}
	}
}

// foldUntilDone folds groups, again and again while the disk is full. It returns false when the store has ended.
func (s *Store) foldUntilDone(groups []group) bool {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := s.foldStep(groups)
		if err == nil {
			return true
		}
		s.trouble("fold", err)
		if s.Err() != nil {
			return false
		}
		if _, _, ended := s.backlog.state(); ended {
			return false
		}
		select {
		case <-time.After(wait):
		case <-s.failed:
			return false
		}
	}
}

// foldStep takes groups into the database in one transaction.
func (s *Store) foldStep(groups []group) (err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	tx, err := s.db.Begin(true)
	if err != nil {
		return fatal(fmt.Errorf("begin: %w", err))
	}
	st := newStep(s, tx)
	// A page that is damaged makes bbolt panic.
	if err := guarded(func() error { return st.fold(groups) }); err != nil {
		return fatal(fmt.Errorf("fold: %w", joinRollback(tx, err)))
	}
	if err := guarded(tx.Commit); err != nil {
		_ = tx.Rollback() // done already, unless bbolt panicked: then Close would wait for it
		return fatal(fmt.Errorf("commit: %w", err))
	}
	last := groups[len(groups)-1].seq
	st.keep()
	s.journal.fold(last)
	s.publish()
	s.leases.folded(st.settled)
	s.backlog.reached(last, groups...)
	if o := s.config.Observer.Folded; o != nil && len(st.changes) > 0 {
		o(st.changes)
	}
	if o := s.config.Observer.Evicted; o != nil && st.evicted > 0 {
		o(st.evicted)
	}
	return nil
}
