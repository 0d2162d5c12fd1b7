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

// These texts say what was done about a damaged row. The errors about damage that Observer.Failed gets end with them.
// The runbook explains each of them (alert DlrloopStoreDamaged).
const (
	isCorrected = "one flipped bit is corrected"
	isRebuilt   = "it is rebuilt from the reports of its batch"
	isRecounted = "its counts are computed again"
	isAside     = "it is set aside in bucket damaged"
	isIndexed   = "the index is corrected"
	isCopied    = "its bucket is rebuilt"
	isRestarted = "the destination gets all events again that are kept"
	isMisplaced = "its key is damaged: restart dlrloop to mend it (databases of up to 64 MiB)"
)

// finding is a damaged row and what was done about it, such as isCorrected. done is empty if nothing is decided yet.
type finding struct {
	*schema.DamageError
	done string
}

// noteDamaged handles the error of a read. A damaged row is noted, so that foldLoop mends it. Other damage is reported
// to the Observer, and an error without damage is ignored.
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

// reportDamaged passes err to Observer.Failed, but only once for each damaged row. row is a *schema.DamageError, or
// another error whose text identifies the damage.
func (s *Store) reportDamaged(row, err error) {
	id := row.Error()
	if d, isRow := errors.AsType[*schema.DamageError](row); isRow {
		id = d.ID() // its text masks numbers, so two rows may have the same text
	}
	if _, known := s.reported.LoadOrStore(id, true); !known {
		s.reportFailure("damage", err)
	}
}

// reportMended tells the Observer what was done about damaged rows. It skips rows that are yet to be rebuilt.
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

// mendNoted mends the damaged rows that reads have found. If that fails, it reports the error, and the rows stay
// damaged until a read finds them again. w holds the journal frames that are applied next.
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

// reportUnmended reports, at Close, damaged rows that reads have found but that are not mended yet.
func (s *Store) reportUnmended() {
	for _, d := range s.unmended.Range {
		s.reportDamaged(d.(*schema.DamageError), fmt.Errorf("%w: it is not mended yet", d.(*schema.DamageError)))
	}
}

// foldMended applies the journal frames in w to the database, like foldStep. If this fails at a damaged row, it mends
// the row and tries again, once for each row.
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

// mend mends damaged rows and rebuilds whole batches if needed. w holds the journal frames that are applied next.
func (s *Store) mend(rows []*schema.DamageError, w backlog.Work) error {
	if err := s.mendRows(rows, nil); err != nil {
		return err
	}
	return s.rebuildAll(w)
}

// mendRows corrects each damaged row, moves it to BucketDamaged, or marks its batch for rebuildAll. Before that, it
// calls copyBucket for the buckets named in copies, because their keys may be damaged.
func (s *Store) mendRows(rows []*schema.DamageError, copies map[string]bool) error {
	var found []finding
	err := s.update(func(c *writeTx) error {
		found = nil
		// bbolt finds a page by its first key, so a row beside a damaged key must not be changed in place.
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
