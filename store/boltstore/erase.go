package boltstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/erase"
)

const (
	// eraseScan is how many bytes of rows one read transaction of Erase reads.
	eraseScan = 1 << 20
	// eraseRows is how many rows one write transaction of Erase replaces.
	eraseRows = 64
)

// eraser erases one phone number from the store.
type eraser struct {
	s       *Store
	number  *erase.Number
	done    store.Erased // of all committed transactions
	counted store.Erased // of the current write transaction
}

// Erase implements store.Store: it removes a phone number from all rows. Then it overwrites with zeros where the files
// have the number still: folded frames of the journal, and free pages of the database. It also deletes what bucket
// damaged has of rows that may name the number. The next call completes an interrupted one. Only one call runs at a
// time; others wait for it.
func (s *Store) Erase(ctx context.Context, number string) (store.Erased, error) {
	n, err := erase.New(number)
	if err != nil {
		return store.Erased{}, err
	}
	if s.closed.Load() {
		return store.Erased{}, s.closedError()
	}
	select {
	case s.erasing <- struct{}{}:
		defer func() { <-s.erasing }()
	case <-ctx.Done():
		return store.Erased{}, context.Cause(ctx)
	}
	e := &eraser{s: s, number: n}
	err = s.backlog.Wait(ctx)
	for _, step := range []func(context.Context) error{
		e.batches, e.inbound, e.quarantined, e.events, e.deferred, e.damaged, s.scrubJournal, s.scrubDatabase,
	} {
		if err == nil {
			err = step(ctx)
		}
	}
	return e.done, s.eraseError(ctx, err)
}

// eraseError returns what Erase returns if its work ended with err. It notes a damaged row, so that foldLoop mends it,
// and reports an error that is not the caller's.
func (s *Store) eraseError(ctx context.Context, err error) error {
	switch {
	case err == nil, errors.Is(err, store.ErrBusy):
		return err
	case errors.Is(err, store.ErrClosed), errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return s.closedError()
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return err
	}
	s.noteDamaged(err)
	s.reportFailure("erase", err)
	return fmt.Errorf("erase: %w", err)
}

// write calls run in a write transaction. What run adds to e.counted is added to e.done after the commit.
func (e *eraser) write(ctx context.Context, run func(*writeTx) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	err := e.s.write(func(c *writeTx) error {
		e.counted = store.Erased{}
		return run(c)
	})
	if err == nil {
		e.done.Recipients += e.counted.Recipients
		e.done.Reports += e.counted.Reports
		e.done.InboundMessages += e.counted.InboundMessages
		e.done.Quarantined += e.counted.Quarantined
		e.done.Events += e.counted.Events
	}
	return err
}

// rows are the rows of a bucket from which Erase removes the phone number.
type rows struct {
	bucket, prefix []byte
	// names reports whether a row contains the number.
	names func(key, row []byte) (bool, error)
	// change removes the number from a row and stores the result. The row may have changed since names.
	change func(c *writeTx, key, row []byte) error
	// after is called at the end of each write transaction, if it is set.
	after func(c *writeTx) error
}

// replace changes all rows that contain the number. It finds them in read transactions, so that it holds up the fold
// only for rows that must change. end is a key behind all rows that replace has seen.
func (e *eraser) replace(ctx context.Context, r rows) (end []byte, err error) {
	for next, more := r.prefix, true; more; {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var found [][]byte
		err := e.s.viewFolded(func(tx *bolt.Tx) error {
			found, end, more, err = e.find(tx, r, next)
			return err
		})
		if err != nil {
			return nil, err
		}
		if next = end; len(found) == 0 {
			continue
		}
		err = e.write(ctx, func(c *writeTx) error {
			for _, key := range found {
				row := c.tx.Bucket(r.bucket).Get(key)
				if row == nil {
					continue
				}
				if err := r.change(c, key, row); err != nil {
					return err
				}
			}
			if r.after != nil {
				return r.after(c)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return end, nil
}

// find returns the keys of rows that contain the number: up to eraseRows, from up to eraseScan bytes of rows, beginning
// with the key next. end is a key behind the last row that find has read; more is true if rows follow.
func (e *eraser) find(tx *bolt.Tx, r rows, next []byte) (found [][]byte, end []byte, more bool, err error) {
	end = next
	c := tx.Bucket(r.bucket).Cursor()
	key, row := c.Seek(next)
	for size := 0; hasPrefix(key, r.prefix); key, row = c.Next() {
		if size >= eraseScan || len(found) == eraseRows {
			return found, end, true, nil
		}
		names, err := r.names(key, row)
		if err != nil && !e.s.needsStart(err) {
			return nil, nil, false, err
		}
		end = append(append([]byte(nil), key...), 0)
		if names {
			found = append(found, end[:len(key):len(key)])
		}
		size += len(row)
	}
	return found, end, false, nil
}

// hasPrefix reports whether key begins with prefix. A nil key, which a cursor returns at its end, has no prefix.
func hasPrefix(key, prefix []byte) bool {
	return key != nil && len(key) >= len(prefix) && string(key[:len(prefix)]) == string(prefix)
}

// pause waits for d. It returns the cause of ctx if ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
