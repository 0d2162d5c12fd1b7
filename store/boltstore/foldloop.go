package boltstore

import (
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/store/boltstore/internal/backlog"
	"github.com/dlrloop/dlrloop/store/disk"
)

const (
	// idleFactor is the pause after a small fold step, as a multiple of its duration. It leaves the disk to the
	// journal.
	idleFactor = 8
	// nodeBytes is the memory that bbolt uses for a changed page, in addition to the page.
	nodeBytes = 8 << 10
)

// foldLoop applies what the journal records to the database, until Close or a fatal error. Under low load, or when a
// read waits, it does this at once. Under high load, it applies many records in one transaction.
func (s *Store) foldLoop() {
	pause := time.Duration(0)
	for {
		s.waitStep(pause)
		var w backlog.Work
		ok := s.retryFold(func() (err error) {
			w, err = s.backlog.Take(s.measured.Room(s.config.StepBytes))
			return err
		})
		if !ok {
			return
		}
		s.mendNoted(w)
		if len(w.Parts) == 0 {
			if _, ended := s.backlog.State(backlog.WhileIdle); ended {
				return
			}
			pause = 0
			<-s.backlog.Wake
			continue
		}
		begin := time.Now()
		if !s.retryFold(func() error { return s.foldMended(w) }) {
			return
		}
		if pause = idleFactor * time.Since(begin); w.Busy() {
			pause = s.config.FoldEvery - time.Since(begin)
		}
		pause = min(pause, s.config.FoldEvery)
	}
}

// waitStep pauses foldLoop for at most the duration d. It returns early if the work becomes urgent, for example because
// a read waits, or if the store is closing.
func (s *Store) waitStep(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		if urgent, ended := s.backlog.State(backlog.WhileIdle); urgent || ended {
			return
		}
		select {
		case <-timer.C:
			return
		case <-s.backlog.Wake:
		}
	}
}

// retryFold calls attempt until it succeeds, and pauses 100 ms to 5 s after each failure. It returns false after a
// fatal error, or if an attempt fails while the store is closing.
func (s *Store) retryFold(attempt func() error) bool {
	var failures incident
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := attempt()
		if err == nil {
			return true
		}
		if failures.shouldReport(time.Now()) || disk.IsFatal(err) {
			s.reportFailure("fold", err)
		}
		if s.Err() != nil {
			return false
		}
		s.backlog.Stall()
		if _, ended := s.backlog.State(backlog.WhileIdle); ended {
			return false
		}
		select {
		case <-time.After(wait):
		case <-s.failed:
			return false
		}
	}
}

// foldStep applies the journal frames in w to the database, in one transaction. Then it updates the totals and the
// metrics and calls the Observer. After an error that is not fatal, the caller can repeat the step.
func (s *Store) foldStep(w backlog.Work) (err error) {
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
	stats := tx.Stats()
	memory := int(stats.GetPageAlloc()+nodeBytes*stats.GetNodeCount()) + eventMemory*st.events.count
	s.measured.Step(w.Size, time.Since(begin)-st.yielder.yielded, memory)
	s.journal.Release(w.To.Seq)
	s.publish()
	s.leases.folded(st.settled)
	s.backlog.Reached(w, s.measured.Allowance())
	if o := s.config.Observer.Folded; o != nil && len(st.changes) > 0 {
		o(st.changes)
	}
	if o := s.config.Observer.Evicted; o != nil && st.evicted > 0 {
		o(st.evicted)
	}
	return nil
}
