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

// recorded is an arrival on its way from Record to its commit, or a part of a large arrival.
type recorded struct {
	arrival    store.Arrival
	slot       int16 // of its batch
	size       int   // approximate memory in bytes
	slow       bool  // in the slow lane
	unfinished bool  // a part of an arrival, but not the last part
}

// Record commits an arrival and folds it in the same transaction. It blocks until the commit is durable. If ctx ends
// before, Record returns an error, but the arrival may still be committed. The caller may reuse the raw bytes of a
// afterwards. store.Store lists the errors.
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
	slot := s.slotOf(a.Key())
	return s.record(ctx, recorded{arrival: a, slot: slot, size: size})
}

// Settle records the result of a feedback attempt that ended at the time at. The transaction that folds the
// settlement also ends the lease that the settlement names. Settle blocks and fails like Record.
func (s *Store) Settle(ctx context.Context, plan string, at time.Time, settlement store.Settlement) error {
	return s.Record(ctx, store.Arrival{Plan: plan, At: at, Entry: settlement})
}

// cloneBytes returns a with a copy of its raw bytes: the caller of Record may reuse them when it stops waiting, which
// may be before the commit.
func cloneBytes(a store.Arrival) store.Arrival {
	if raw := a.Entry.RawBytes(); len(raw) > 0 {
		a.Entry = a.Entry.WithRaw(slices.Clone(raw))
	}
	return a
}

// sizeOf returns the approximate memory in bytes of a queued arrival, and the length in bytes of the longest digits
// of a recipient in it.
func sizeOf(a store.Arrival) (size, longest int) {
	size = 256 + len(a.Entry.RawBytes())
	fold.Touches(a, func(digits string) {
		size += 32 + len(digits)
		longest = max(longest, len(digits))
	})
	return size, longest
}

// commit makes the arrivals of a group durable and folds them: in one transaction, or in one for each slot if the
// dialect requires that. It sets results[i] to the result of group[i]. The committer of each lane calls it.
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

// commitSome commits the arrivals at these indexes of the group in one transaction, and sets their results.
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

// commitAtOnce commits a group in one transaction and sets the result of each arrival. If the database refuses a
// value, commitAtOnce commits the halves of the group separately, so that only the arrival with the refused value
// fails. An arrival whose batch retention is deleting gets errSlow.
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

// commitGroup commits a group in one transaction, passes the changes to the observer and returns the committed step.
// If retention is deleting batches of the group, it returns errSlow and a step whose field hidden lists these
// batches. In the slow lane it completes their deletion instead.
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

// report passes the changes of a committed step to the observer. It must not block, because the callers of Record get
// their results after it.
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
