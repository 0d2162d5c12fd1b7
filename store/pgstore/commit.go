package pgstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dlrloop/dlrloop/store"
)

const (
	// commitTime is how long a commit may take. What is not known to be done by then is answered as failed.
	commitTime = 60 * time.Second
	// tries is how often a transaction that the database chose to undo is begun.
	tries = 8
)

// recorded is an arrival on its way to be committed.
type recorded struct {
	arrival store.Arrival
	slot    int16
	size    int
}

// errGone means that a batch was deleted by retention between being named and being locked.
var errGone = errors.New("the batch has just expired")

// unfitError is a row that cannot be kept.
type unfitError struct{ error }

func (e unfitError) Unwrap() error { return e.error }

// Record makes a durable and folds it.
func (s *Store) Record(ctx context.Context, a store.Arrival) error {
	if s.closed.Load() {
		return store.ErrClosed
	}
	a.At = a.At.UTC().Truncate(time.Millisecond)
	if err := a.Check(); err != nil {
		return err
	}
	a = own(a)
	r := recorded{arrival: a, slot: s.slotOf(store.BatchKey{Plan: a.Plan, BatchID: a.News.Batch()}), size: sizeOf(a)}
	return s.lanes[int(r.slot)%len(s.lanes)].Record(ctx, r)
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

// sizeOf is about how many bytes an arrival has.
func sizeOf(a store.Arrival) int {
	size := 256
	switch n := a.News.(type) {
	case store.Report:
		size += len(n.Raw)
	case store.Quarantined:
		size += len(n.Raw)
	}
	store.Touches(a, func(digits string) { size += 256 + len(digits) })
	return size
}

// commit folds a group in one transaction. When there is something in it that cannot be kept, the halves are committed apart, so
// that it fails alone. It is a committer's.
func (s *Store) commit(group []recorded, results []error) {
	begin, size := time.Now(), 0
	for _, r := range group {
		size += r.size
	}
	st, err := s.transact(group)
	if o := s.config.Observer.Committed; o != nil {
		o(len(group), size, time.Since(begin), err)
	}
	if err == nil {
		s.tell(st)
		return
	}
	s.trouble("commit", err)
	if half := len(group) / 2; half > 0 && unfit(err) {
		s.commit(group[:half], results[:half])
		s.commit(group[half:], results[half:])
		return
	}
	for i := range results {
		results[i] = fmt.Errorf("commit: %w", err)
	}
}

func (s *Store) tell(st *step) {
	s.leases.settled(st.batches)
	if o := s.config.Observer.Folded; o != nil && len(st.changes) > 0 {
		o(st.changes)
	}
	if o := s.config.Observer.Evicted; o != nil && st.evicted > 0 {
		o(st.evicted)
	}
}

// transact runs the transaction of a group, again when the database says that it was undone for others' sake. Whether a commit
// that got no answer was done is not known; it is not tried again.
func (s *Store) transact(group []recorded) (*step, error) {
	within := commitTime
	if s.closed.Load() {
		within = closeTime
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for try := 1; ; try++ {
		st := newStep(s, group)
		err := s.write(ctx, func(tx pgx.Tx) error { return st.run(ctx, tx) })
		if err == nil {
			return st, nil
		}
		if !undone(err) || try == tries {
			return nil, err
		}
		select {
		case <-time.After(rand.N(time.Millisecond << try)):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// write runs a transaction that changes rows. Each of its statements has to see what those before it waited for.
func (s *Store) write(ctx context.Context, change func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, change)
}

// undone reports whether a transaction was surely undone and may do when it is begun again.
func undone(err error) bool {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return refused.Code == "40001" || refused.Code == "40P01"
	}
	return errors.Is(err, errGone) || pgconn.SafeToRetry(err)
}

// unfit reports whether a transaction failed for what was to be written, not for the database's state.
func unfit(err error) bool {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch refused.Code[:2] {
		case "22", "23", "54": // data exception, integrity constraint, program limit exceeded
			return true
		}
		return false
	}
	_, ok := errors.AsType[unfitError](err)
	return ok
}
