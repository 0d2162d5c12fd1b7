package boltstore

import (
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/store/disk"
)

const (
	// maxStep is the maximum number of rows of one step, however fast the fold is.
	maxStep = 100_000
	// busyStep is the number of rows from which a step counts as large. After a large step the fold waits up to
	// Config.FoldEvery, so that the next one is large too.
	busyStep = 512
	// idleFactor is how many times the duration of a small step the fold waits after it, to leave the disk to the
	// journal.
	idleFactor = 8
)

// foldLoop folds frames until the store ends or is closed: at once under low load or when a reader waits, in larger
// steps under high load.
func (s *Store) foldLoop() {
	pause := time.Duration(0)
	for {
		s.waitStep(pause)
		var w work
		taken := s.retryFold(func() (err error) {
			w, err = s.backlog.take(s.measured.room(s.config.StepBytes))
			return err
		})
		if !taken {
			return
		}
		s.mendNoted(w)
		if len(w.parts) == 0 {
			if _, ended := s.backlog.state(whileIdle); ended {
				return
			}
			pause = 0
			<-s.backlog.wake
			continue
		}
		begin := time.Now()
		if !s.retryFold(func() error { return s.foldMended(w) }) {
			return
		}
		if pause = idleFactor * time.Since(begin); w.busy() {
			pause = s.config.FoldEvery - time.Since(begin)
		}
		pause = min(pause, s.config.FoldEvery)
	}
}

// waitStep blocks for d. It returns earlier if the fold must not pause (see backlog.state) or the backlog has ended.
func (s *Store) waitStep(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		if urgent, ended := s.backlog.state(whileIdle); urgent || ended {
			return
		}
		select {
		case <-timer.C:
			return
		case <-s.backlog.wake:
		}
	}
}

// retryFold calls do until it succeeds, pausing between 100 ms and 5 s; the disk may be full, for example. It returns
// false if the store ended, or if it is being closed and do failed.
func (s *Store) retryFold(do func() error) bool {
	var failures incident
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := do()
		if err == nil {
			return true
		}
		if failures.shouldReport(time.Now()) || disk.IsFatal(err) {
			s.reportFailure("fold", err)
		}
		if s.Err() != nil {
			return false
		}
		s.backlog.stall()
		if _, ended := s.backlog.state(whileIdle); ended {
			return false
		}
		select {
		case <-time.After(wait):
		case <-s.failed:
			return false
		}
	}
}

// foldStep folds w in one transaction. After an error that is not fatal, nothing of w is folded.
func (s *Store) foldStep(w work) (err error) {
	begin := time.Now()
	s.writing.Lock()
	defer s.writing.Unlock()
	tx, err := s.db.Begin(true)
	if err != nil {
		return disk.Fatal(fmt.Errorf("begin: %w", err))
	}
	st := newStep(s, tx)
	// bbolt panics on a damaged page.
	if err := guarded(func() error { return st.fold(w) }); err != nil {
		return disk.Fatal(fmt.Errorf("fold: %w", joinRollback(tx, err)))
	}
	if err := guarded(tx.Commit); err != nil {
		_ = tx.Rollback() // a no-op unless bbolt panicked; without it, Close would wait for the transaction
		return disk.Fatal(fmt.Errorf("commit: %w", err))
	}
	st.install()
	s.measured.step(w.size, time.Since(begin)-st.yielder.yielded, tx.Stats())
	s.journal.Release(w.to.Seq)
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
