package boltstore

import (
	"errors"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
)

// figures are those of the store that change with what is neither folded nor read.
type figures struct {
	totals     totals
	quarantine quarantined
}

// writeTx is a write transaction of expiry or of a mend. Its figures are copies, which become the store's once it is
// committed.
type writeTx struct {
	s  *Store
	tx *bolt.Tx
	figures
}

// begin begins a write transaction. Nothing else writes until it is committed or undone.
func (s *Store) begin() (*writeTx, error) {
	s.writing.Lock()
	tx, err := s.db.Begin(true)
	if err != nil {
		s.writing.Unlock()
		return nil, err
	}
	return &writeTx{s, tx, figures{s.totals.clone(), s.quarantine}}, nil
}

func (c *writeTx) commit() error {
	defer c.s.writing.Unlock()
	if err := guarded(c.tx.Commit); err != nil {
		_ = c.tx.Rollback() // done already, unless bbolt panicked
		return fatal(err)
	}
	c.s.totals, c.s.quarantine = c.totals, c.quarantine
	if c.s.loaded {
		c.s.publish()
	}
	return nil
}

// undo rolls it back and returns err.
func (c *writeTx) undo(err error) error {
	defer c.s.writing.Unlock()
	return joinRollback(c.tx, err)
}

// update runs a write transaction.
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

// write runs a write transaction of expiry.
func (s *Store) write(run func(*writeTx) error) error {
	return s.update(func(c *writeTx) error {
		if s.closed.Load() {
			return store.ErrClosed
		}
		return run(c)
	})
}

func joinRollback(tx *bolt.Tx, err error) error { return errors.Join(err, tx.Rollback()) }
