package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// recorded is an arrival on its way to be committed.
type recorded struct {
	arrival    store.Arrival
	slot       int16
	size       int
	recipients int  // that it names
	slow       bool // it is in the slow lane
	unfinished bool // it is a part of an arrival, and not the last
}

// Record makes a durable and folds it.
func (s *Store) Record(ctx context.Context, a store.Arrival) error {
	if s.closed.Load() {
		return store.ErrClosed
	}
	a.At = a.At.UTC().Truncate(time.Millisecond)
	if err := a.Check(); err != nil {
		return err
	}
	size, longest := sizeOf(a)
	if err := checkKeys(a, longest); err != nil {
		return err
	}
	a = own(a)
	slot := s.slotOf(store.BatchKey{Plan: a.Plan, BatchID: a.News.Batch()})
	return s.record(ctx, recorded{arrival: a, slot: slot, size: size, recipients: a.Recipients()})
}

// own copies the bytes that a caller who gave up might use again.
func own(a store.Arrival) store.Arrival {
	switch n := a.News.(type) {
	case store.Report:
		n.Raw = slices.Clone(n.Raw)
		a.News = n
	case store.Quarantined:
		n.Raw = slices.Clone(n.Raw)
		a.News = n
	}
	return a
}

// sizeOf is about how many bytes an arrival takes while it waits, and how many the longest digits that it names.
func sizeOf(a store.Arrival) (size, longest int) {
	size = 256
	switch n := a.News.(type) {
	case store.Report:
		size += len(n.Raw)
	case store.Quarantined:
		size += len(n.Raw)
	}
	store.Touches(a, func(digits string) {
		size += 32 + len(digits)
		longest = max(longest, len(digits))
	})
	return size, longest
}

// commit makes a group durable and folded. It is a committer's.
func (s *Store) commit(group []recorded, results []error) {
	if !s.config.Dialect.oneSlot() {
		s.commitAtOnce(group, results)
		return
	}
	places := make([]int, len(group))
	for i := range places {
		places[i] = i
	}
	for _, part := range split(s.config.Dialect, places, func(i int) int16 { return group[i].slot }) {
		s.commitSome(group, results, part)
	}
}

// commitSome commits the arrivals of a group at these places.
func (s *Store) commitSome(group []recorded, results []error, places []int) {
	arrivals, failed := make([]recorded, len(places)), make([]error, len(places))
	for i, place := range places {
		arrivals[i] = group[place]
	}
	s.commitAtOnce(arrivals, failed)
	for i, place := range places {
		results[place] = failed[i]
	}
}

// commitAtOnce folds a group in one transaction. When there is something in it that cannot be kept, the halves are committed apart,
// so that it fails alone.
func (s *Store) commitAtOnce(group []recorded, results []error) {
	st, err := s.commitGroup(group)
	if err == nil {
		return
	}
	if errors.Is(err, errSlow) {
		deleted, others := withoutGone(group, st.gone)
		for _, place := range deleted {
			results[place] = errSlow
		}
		if len(others) > 0 {
			s.commitSome(group, results, others)
		}
		return
	}
	if half := len(group) / 2; half > 0 && unfit(err) {
		s.commitAtOnce(group[:half], results[:half])
		s.commitAtOnce(group[half:], results[half:])
		return
	}
	for i := range results {
		results[i] = fmt.Errorf("commit: %w", err)
	}
}

// commitGroup folds a group in one transaction, and tells the observer. Its error is errSlow if retention is deleting batches of
// the group, which is not the slow lane's: the step has these.
func (s *Store) commitGroup(group []recorded) (*step, error) {
	begin, size, arrivals := time.Now(), 0, 0
	for _, r := range group {
		size += r.size
		if !r.unfinished {
			arrivals++
		}
	}
	s.commits.wait(s.stopping)
	underway := s.progress.begin(group)
	st, err := s.transact(group)
	s.progress.ended(underway, err)
	if errors.Is(err, errSlow) {
		return st, err
	}
	if !unfit(err) {
		s.commits.ended(err)
	}
	if o := s.config.Observer.Committed; o != nil {
		o(arrivals, size, time.Since(begin), err)
	}
	if err != nil {
		s.trouble("commit", err)
		return nil, err
	}
	s.report(st)
	return st, nil
}

// report reports what was committed. Waiters are answered after it, so it waits for nothing.
func (s *Store) report(st *step) {
	s.leases.settled(st.batches)
	if o := s.config.Observer.Folded; o != nil && len(st.changes) > 0 {
		o(st.changes)
	}
	s.bounds.add(st.quarantined)
}
