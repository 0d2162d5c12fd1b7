package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/dlrloop/dlrloop/store"
)

// What was done about a damaged row.
const (
	isCorrected = "one flipped bit is corrected"
	isRebuilt   = "it is rebuilt from the reports of its batch"
	isRecounted = "its figures are counted anew"
	isAside     = "it is set aside in bucket damaged"
	isIndexed   = "the index is corrected"
	isCopied    = "its bucket is made anew"
	isMisplaced = "its key is damaged: a start mends it if the database has at most 64 MiB"
)

// finding is a damaged row and what was done about it.
type finding struct {
	*damageError
	done string
}

// met notes damage that a read met. The fold mends it before its next step.
func (s *Store) met(err error) {
	d, isRow := errors.AsType[*damageError](err)
	if !isRow {
		if errors.Is(err, store.ErrDamaged) {
			s.damaged(err, err)
		}
		return
	}
	if _, left := s.left.Load(d.id()); !left {
		s.unmended.Store(d.id(), d)
		s.backlog.poke()
	}
}

// damaged tells of damage, of each row once.
func (s *Store) damaged(row, err error) {
	id := row.Error()
	if d, isRow := errors.AsType[*damageError](row); isRow {
		id = d.id() // the text masks numbers, so two rows may have the same
	}
	if _, told := s.told.LoadOrStore(id, true); !told {
		s.trouble("damage", err)
	}
}

func (s *Store) tell(found []finding) {
	for _, f := range found {
		if f.done == isMisplaced {
			s.left.Store(f.id(), true)
		}
		if f.done != "" && !errors.Is(f.cause, errUnsettled) {
			s.damaged(f.damageError, fmt.Errorf("%w: %s", f.damageError, f.done))
		}
	}
}

// mendMet mends what reads have met. w is what the fold will fold next. A mend that fails ends nothing: the rows stay
// as they are, and are mended when they are met again.
func (s *Store) mendMet(w work) {
	var rows []*damageError
	for key, d := range s.unmended.Range {
		s.unmended.Delete(key)
		rows = append(rows, d.(*damageError))
	}
	if len(rows) == 0 {
		return
	}
	err := s.mend(rows, w)
	switch {
	case err == nil:
	case ends(err):
		s.trouble("fold", err)
	default:
		for _, d := range rows {
			s.damaged(d, fmt.Errorf("%w: mend: %w", d, err))
		}
	}
}

// tellUnmended tells of rows that a read met, and that were not mended before the store was closed.
func (s *Store) tellUnmended() {
	for _, d := range s.unmended.Range {
		s.damaged(d.(*damageError), fmt.Errorf("%w: it is not mended yet", d.(*damageError)))
	}
}

// foldMended takes w into the database. A row that is found damaged is mended, and the step begins anew.
func (s *Store) foldMended(w work) error {
	tried := make(map[string]bool)
	for {
		err := s.foldStep(w)
		d, isRow := errors.AsType[*damageError](err)
		if !isRow || tried[d.id()] {
			return err
		}
		tried[d.id()] = true
		if mendErr := s.mend([]*damageError{d}, w); mendErr != nil {
			return fatal(fmt.Errorf("%v: mend: %w", d, mendErr)) // a full disk is waited for
		}
	}
}

// mend mends damaged rows and what follows from them.
func (s *Store) mend(rows []*damageError, w work) error {
	if err := s.mendRows(rows, nil); err != nil {
		return err
	}
	return s.rebuildAll(w)
}

// mendRows corrects rows or sets them aside, and notes in bucket mending which batches are to be rebuilt. It copies
// the buckets in copies first: bbolt finds a page by its first key, so a row with a damaged key must not be changed
// in its place.
func (s *Store) mendRows(rows []*damageError, copies map[string]bool) error {
	var found []finding
	err := s.update(func(c *writeTx) error {
		found = nil
		for _, name := range buckets {
			if copies[string(name)] {
				copied, err := c.copyBucket(name)
				if found = append(found, copied...); err != nil {
					return err
				}
			}
		}
		for _, d := range rows {
			damaged := func(f finding) bool { return bytes.Equal(f.bucket, d.bucket) && f.done != "" }
			if errors.Is(d, errBranch) && !slices.ContainsFunc(found, damaged) { // else that row may be why
				found = append(found, finding{d, isCopied})
			}
			if copies[string(d.bucket)] && !errors.Is(d, errCounts) && !errors.Is(d, errMissing) {
				continue // the copy has mended it
			}
			done, err := c.mendRow(d.bucket, d.key)
			if err != nil {
				return err
			}
			found = append(found, finding{d, done})
		}
		return trimAside(c.tx)
	})
	if err == nil {
		s.tell(found)
	}
	return err
}
