package boltstore

import (
	"errors"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/disk"
)

// figures are the values in memory that change when old batches or events are deleted or damaged rows are mended.
type figures struct {
	totals     schema.Totals
	quarantine quarantined
	eventRange schema.EventRange
}

// writeTx is a write transaction other than a fold step, such as one of retention or of a mend. It changes copies of
// the store's totals, and commit replaces the originals by these copies.
type writeTx struct {
	s  *Store
	tx *bolt.Tx
	figures
}

// begin starts a write transaction. It blocks while another one runs. The caller must call commit or undo.
func (s *Store) begin() (*writeTx, error) {
	s.writing.Lock()
	tx, err := s.db.Begin(true)
	if err != nil {
		s.writing.Unlock()
		return nil, err
	}
	return &writeTx{s, tx, figures{s.totals.Clone(), s.quarantine, s.eventRange}}, nil
}

// commit commits the transaction and copies its totals to the store. Except on a full disk, an error is fatal: the
// store must end (see disk.Fatal).
func (c *writeTx) commit() error {
	defer c.s.writing.Unlock()
	if err := guarded(c.tx.Commit); err != nil {
		_ = c.tx.Rollback() // a no-op unless bbolt panicked
		return disk.Fatal(err)
	}
	c.s.totals, c.s.quarantine, c.s.eventRange = c.totals, c.quarantine, c.eventRange
	if c.s.loaded {
		c.s.publish()
	}
	return nil
}

// undo rolls the transaction back and returns err, joined with the error of the rollback if that fails.
func (c *writeTx) undo(err error) error {
	defer c.s.writing.Unlock()
	return joinRollback(c.tx, err)
}

// update calls run in a write transaction and commits it. If run returns an error or panics, update rolls back instead.
func (s *Store) update(run func(*writeTx) error) error {
	c, err := s.begin()
	if err != nil {
		return err
	}
	if err := guarded(func() error { return run(c) }); err != nil {
		return c.undo(err)
	}
	return c.commit()
}

// write calls run in a write transaction and commits it, or rolls back if run fails or panics. If the store is closing,
// it returns ErrClosed without calling run.
func (s *Store) write(run func(*writeTx) error) error {
	return s.update(func(c *writeTx) error {
		if s.closed.Load() {
			return store.ErrClosed
		}
		return run(c)
	})
}

func joinRollback(tx *bolt.Tx, err error) error { return errors.Join(err, tx.Rollback()) }
