package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/fold"
)

// recorded is an arrival (such as a report) that waits in Record for its commit, or one part of a large arrival.
type recorded struct {
	arrival    store.Arrival
	slot       int16 // of its batch
	size       int   // approximate memory in bytes
	slow       bool  // in the slow lane
	unfinished bool  // a part of an arrival, but not the last part
}

// Record stores an arrival and applies it to the state, in one transaction or, if it names many recipients, in several.
// It blocks until all of them are durable. If ctx ends first, Record returns an error, but the arrival may still be
// committed. When Record returns, the caller may reuse its raw bytes. store.Store documents the errors.
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
	a = cloneBytes(a)
	slot := s.slotOf(rowKey(a))
	return s.record(ctx, recorded{arrival: a, slot: slot, size: size})
}

// rowKey returns the key that determines the slot of an arrival: that of its batch, or the plan and id of an inbound
// message. A quarantined callback has only a plan.
func rowKey(a store.Arrival) store.BatchKey {
	if m, ok := a.Entry.(store.Inbound); ok {
		return store.BatchKey{Plan: a.Plan, BatchID: m.ID}
	}
	return a.Key()
}

// Settle records the result of a feedback attempt. at is when the attempt ended. The same transaction ends the lease
// that the settlement names. Settle blocks like Record and returns the same errors.
func (s *Store) Settle(ctx context.Context, plan string, at time.Time, settlement store.Settlement) error {
	return s.Record(ctx, store.Arrival{Plan: plan, At: at, Entry: settlement})
}

// cloneBytes returns the arrival a with a copy of its raw bytes. The caller of Record may reuse the original bytes when
// Record returns, which may be before the commit.
func cloneBytes(a store.Arrival) store.Arrival {
	if raw := a.Entry.RawBytes(); len(raw) > 0 {
		a.Entry = a.Entry.WithRaw(slices.Clone(raw))
	}
	return a
}

// sizeOf returns about how many bytes of memory an arrival takes while it is queued, and the length in bytes of the
// longest phone number that it names (only the digits), or 0 if it names none.
func sizeOf(a store.Arrival) (size, longest int) {
	size = 256 + len(a.Entry.RawBytes())
	fold.Touches(a, func(digits string) {
		size += 32 + len(digits)
		longest = max(longest, len(digits))
	})
	return size, longest
}

// commit makes a group of arrivals durable and applies them to the state. It does so in one transaction or, with Citus
// and Portable, in one transaction per slot (hash partition). It sets results[i] to the error of group[i]; nil means
// committed. Each lane (goroutine that commits groups) calls it.
func (s *Store) commit(group []recorded, results []error) {
	if deleted, others := s.deleting.split(group); deleted != nil {
		for _, i := range deleted {
			results[i] = errSlow
		}
		for _, part := range split(s.config.Dialect, others, func(i int) int16 { return group[i].slot }) {
			s.commitSome(group, results, part)
		}
		return
	}
	if !s.config.Dialect.oneSlot() {
		s.commitAtOnce(group, results)
		return
	}
	indexes := make([]int, len(group))
	for i := range indexes {
		indexes[i] = i
	}
	for _, part := range split(s.config.Dialect, indexes, func(i int) int16 { return group[i].slot }) {
		s.commitSome(group, results, part)
	}
}

// commitSome commits the elements of group at the given indexes in one transaction, and sets their elements of results.
func (s *Store) commitSome(group []recorded, results []error, indexes []int) {
	arrivals, failed := make([]recorded, len(indexes)), make([]error, len(indexes))
	for i, index := range indexes {
		arrivals[i] = group[index]
	}
	s.commitAtOnce(arrivals, failed)
	for i, index := range indexes {
		results[index] = failed[i]
	}
}

// commitAtOnce commits a group in one transaction and sets results[i] to the error of group[i]. If the database refuses
// a value, commitAtOnce commits each half of the group separately, so that only the arrival with that value fails. An
// arrival gets errSlow if retention is deleting its batch.
func (s *Store) commitAtOnce(group []recorded, results []error) {
	st, err := s.commitGroup(group)
	if err == nil {
		return
	}
	if errors.Is(err, errSlow) {
		deleted, others := splitHidden(group, st.hidden)
		for _, index := range deleted {
			s.deleting.add(group[index].arrival.Key())
			results[index] = errSlow
		}
		if len(others) > 0 {
			s.commitSome(group, results, others)
		}
		return
	}
	if half := len(group) / 2; half > 0 && isDataError(err) {
		s.commitAtOnce(group[:half], results[:half])
		s.commitAtOnce(group[half:], results[half:])
		return
	}
	for i := range results {
		results[i] = fmt.Errorf("commit: %w", err)
	}
}

// commitGroup commits a group in one transaction and passes the changes to the observer. It returns the step that
// succeeded (the run of the transaction). If retention is deleting batches of the group, it returns errSlow and a step
// whose field hidden lists them. In the slow lane, which may take long, it completes the deletion instead.
func (s *Store) commitGroup(group []recorded) (*step, error) {
	begin, size, arrivals := time.Now(), 0, 0
	for _, r := range group {
		size += r.size
		if !r.unfinished {
			arrivals++
		}
	}
	s.commitBackoff.wait(s.stopping)
	underway := s.progress.begin(group)
	st, err := s.transact(group)
	s.progress.ended(underway, err)
	if errors.Is(err, errSlow) {
		return st, err
	}
	if !isDataError(err) {
		s.commitBackoff.ended(err)
	}
	if o := s.config.Observer.Committed; o != nil {
		o(arrivals, size, time.Since(begin), err)
	}
	if err != nil {
		s.reportFailure("commit", err)
		return nil, err
	}
	s.report(st)
	return st, nil
}

// report passes the changes of a committed step to the observer, s.leases and s.bounds. None of them may block, because
// callers of Record wait for them.
func (s *Store) report(st *step) {
	s.leases.removeSettled(st.batches)
	if o := s.config.Observer.Folded; o != nil && len(st.batches) > 0 {
		var changes []store.Changes
		for _, b := range st.batches {
			changes = append(changes, b.changes...)
		}
		o(changes)
	}
	s.bounds.add(st.quarantined)
}
