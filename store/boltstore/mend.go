package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/backlog"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/disk"
)

// What was done about a damaged row. The texts end the errors that Observer.Failed gets for operation "damage"; the
// runbook explains each text (DlrloopStoreDamaged).
const (
	isCorrected = "one flipped bit is corrected"
	isRebuilt   = "it is rebuilt from the reports of its batch"
	isRecounted = "its counts are computed again"
	isAside     = "it is set aside in bucket damaged"
	isIndexed   = "the index is corrected"
	isCopied    = "its bucket is rebuilt"
	isMisplaced = "its key is damaged: restart dlrloop to mend it (databases of up to 64 MiB)"
)

// finding is a damaged row and what was done about the row. done is empty if that is decided later.
type finding struct {
	*schema.DamageError
	done string
}

// noteDamaged handles err, the error of a read. If err is a damaged row, noteDamaged records the row, and the fold's
// goroutine mends the row before its next step. Other damage is only reported; other errors are ignored.
func (s *Store) noteDamaged(err error) {
	d, isRow := errors.AsType[*schema.DamageError](err)
	if !isRow {
		if errors.Is(err, store.ErrDamaged) {
			s.reportDamaged(err, err)
		}
		return
	}
	if _, skip := s.startOnly.Load(d.ID()); !skip {
		s.unmended.Store(d.ID(), d)
		s.backlog.Signal()
	}
}

// reportDamaged reports err to the Observer unless it has reported damage of the same row before. row identifies the
// row: a *schema.DamageError, or any other error by its text.
func (s *Store) reportDamaged(row, err error) {
	id := row.Error()
	if d, isRow := errors.AsType[*schema.DamageError](row); isRow {
		id = d.ID() // its text masks numbers, so two rows may have the same text
	}
	if _, known := s.reported.LoadOrStore(id, true); !known {
		s.reportFailure("damage", err)
	}
}

// reportMended reports the findings that say what was done about the row. It skips the others.
func (s *Store) reportMended(found []finding) {
	for _, f := range found {
		if f.done == isMisplaced {
			s.startOnly.Store(f.ID(), true)
		}
		if f.done != "" && !errors.Is(f.Cause, schema.ErrUnsettled) {
			s.reportDamaged(f.DamageError, fmt.Errorf("%w: %s", f.DamageError, f.done))
		}
	}
}

// mendNoted mends the rows that noteDamaged recorded. w is the next step of the fold. If mending fails without a fatal
// error, the rows stay as they are until the next read finds them.
func (s *Store) mendNoted(w backlog.Work) {
	var rows []*schema.DamageError
	for key, d := range s.unmended.Range {
		s.unmended.Delete(key)
		rows = append(rows, d.(*schema.DamageError))
	}
	if len(rows) == 0 {
		return
	}
	err := s.mend(rows, w)
	switch {
	case err == nil:
	case disk.IsFatal(err):
		s.reportFailure("fold", err)
	default:
		for _, d := range rows {
			s.reportDamaged(d, fmt.Errorf("%w: mend: %w", d, err))
		}
	}
}

// reportUnmended reports the rows that noteDamaged recorded and that were not mended before Close.
func (s *Store) reportUnmended() {
	for _, d := range s.unmended.Range {
		s.reportDamaged(d.(*schema.DamageError), fmt.Errorf("%w: it is not mended yet", d.(*schema.DamageError)))
	}
}

// foldMended folds w. If the step fails because of a damaged row, foldMended mends the row and repeats the step. It
// mends each row at most once.
func (s *Store) foldMended(w backlog.Work) error {
	tried := make(map[string]bool)
	for {
		err := s.foldStep(w)
		d, isRow := errors.AsType[*schema.DamageError](err)
		if !isRow || tried[d.ID()] {
			return err
		}
		tried[d.ID()] = true
		if mendErr := s.mend([]*schema.DamageError{d}, w); mendErr != nil {
			return disk.Fatal(fmt.Errorf("%s: mend: %w", d.Error(), mendErr)) // not fatal if the disk is full: the fold retries
		}
	}
}

// mend mends damaged rows and rebuilds the batches that depend on them. w is the next step of the fold.
func (s *Store) mend(rows []*schema.DamageError, w backlog.Work) error {
	if err := s.mendRows(rows, nil); err != nil {
		return err
	}
	return s.rebuildAll(w)
}

// mendRows corrects rows or sets them aside, and lists in BucketMending the batches that must be rebuilt. First it
// copies the buckets named in copies: bbolt finds a page by its first key, so a row with a damaged key must not be
// changed in place.
func (s *Store) mendRows(rows []*schema.DamageError, copies map[string]bool) error {
	var found []finding
	err := s.update(func(c *writeTx) error {
		found = nil
		for _, name := range schema.Buckets {
			if copies[string(name)] {
				copied, err := c.copyBucket(name)
				if found = append(found, copied...); err != nil {
					return err
				}
			}
		}
		for _, d := range rows {
			damaged := func(f finding) bool { return bytes.Equal(f.Bucket, d.Bucket) && f.done != "" }
			// A damaged key in the bucket explains a wrong branch page, so only a branch without one is reported.
			if errors.Is(d, errBranch) && !slices.ContainsFunc(found, damaged) {
				found = append(found, finding{d, isCopied})
			}
			if copies[string(d.Bucket)] && !errors.Is(d, errCounts) && !errors.Is(d, errMissing) {
				continue // copyBucket has mended it
			}
			done, err := c.mendRow(d.Bucket, d.Key)
			if err != nil {
				return err
			}
			found = append(found, finding{d, done})
		}
		return trimAside(c.tx)
	})
	if err == nil {
		s.reportMended(found)
	}
	return err
}
