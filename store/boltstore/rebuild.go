package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/backlog"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/fold"
)

// rebuildStep is how many rows a rebuild writes before it commits and begins a new transaction.
const rebuildStep = 4096

// rebuilding restores the damaged and missing rows of one batch from its stored reports. It may take several
// transactions. After a crash, Open starts it again.
type rebuilding struct {
	fold.Rebuild
	*writeTx
	n        schema.Number
	room     int         // rows that the present transaction may still write
	before   store.Tally // the batch's share of the totals, as stored
	counts   string      // counts of the batch, as stored; see figuresOf
	rowsMade bool        // rows of recipients were restored, which may change the counts
	found    []finding   // to report after the commit
}

// rebuildAll mends what BucketMending lists: batches and totals. w holds the journal frames that are applied next.
func (s *Store) rebuildAll(w backlog.Work) error {
	for {
		n, totals, err := s.toRebuild()
		switch {
		case err != nil:
			return err
		case n == 0 && !totals:
			return nil
		case s.config.requireFolded:
			return errUnmended
		case n == 0:
			return s.recount()
		}
		if err := s.rebuild(n, w); err != nil {
			return fmt.Errorf("rebuild batch %x: %w", n.Key(), err)
		}
	}
}

// errUnmended means that a store cannot be copied yet: it has damaged rows that must be rebuilt first.
var errUnmended = errors.New("rows are damaged and can be rebuilt, but the policies of the plans decide " +
	"what feedback is owed: start dlrloop on the folder first")

// toRebuild returns the number of the first batch that BucketMending lists, or 0 if there is none. Only then, totals
// says whether the totals are listed.
func (s *Store) toRebuild() (n schema.Number, totals bool, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		mending := tx.Bucket(schema.BucketMending)
		if mending == nil {
			return nil
		}
		c := mending.Cursor()
		for key, _ := c.First(); key != nil && n == 0; key, _ = c.Next() {
			if totals = totals || bytes.Equal(key, schema.KeyTotals); len(key) == 8 {
				n = schema.NumberOf(key)
			}
		}
		return nil
	})
	return n, totals, err
}

// rebuild restores the damaged rows of batch n. w holds the journal frames that are applied next. If a report of this
// batch is only partly applied, w begins with the rest of that report.
func (s *Store) rebuild(n schema.Number, w backlog.Work) error {
	c, err := s.begin()
	if err != nil {
		return err
	}
	r := &rebuilding{writeTx: c, n: n, room: rebuildStep}
	err = guarded(func() error { return r.run(w) })
	if r.writeTx != nil && errors.Is(err, errDeleted) {
		err = r.forget()
	}
	switch {
	case r.writeTx == nil:
		return err // a commit failed
	case err == nil:
		err = trimAside(r.tx)
	}
	if err != nil {
		return r.undo(err)
	}
	if err := r.commit(); err != nil {
		return err
	}
	s.reportMended(r.found)
	return nil
}

// run does all steps of the rebuild. The caller must commit the last transaction.
func (r *rebuilding) run(w backlog.Work) error {
	if ok, err := r.open(w); !ok || err != nil {
		return err
	}
	if err := r.replay(); err != nil {
		return err
	}
	if err := r.settle(); err != nil {
		return err
	}
	return r.finish()
}

// wrote must be called after rows are written. After rebuildStep rows, it commits and begins a new transaction.
func (r *rebuilding) wrote(rows int) error {
	if r.room -= rows; r.room > 0 {
		return nil
	}
	c, s := r.writeTx, r.writeTx.s
	if err := trimAside(c.tx); err != nil {
		return err
	}
	r.writeTx = nil
	if err := c.commit(); err != nil {
		return err
	}
	s.reportMended(r.found)
	r.found, r.room = nil, rebuildStep
	var err error
	if r.writeTx, err = s.begin(); err != nil {
		return err
	}
	if !r.Lost && r.tx.Bucket(schema.BucketBatches).Get(r.n.Key()) == nil {
		return errDeleted
	}
	return nil
}

// errDeleted means that retention deleted the batch between two transactions of its rebuild.
var errDeleted = errors.New("retention has deleted the batch")

// note keeps a damaged row, to report it after the commit. err says what is wrong, and done says what is done about it.
func (r *rebuilding) note(bucket, key []byte, err error, done string) {
	d, ok := errors.AsType[*schema.DamageError](err)
	if !ok {
		d, _ = errors.AsType[*schema.DamageError](schema.Damage(bucket, key, err))
	}
	r.found = append(r.found, finding{d, done})
}

// open loads the row of the batch to rebuild, or makes a new one. ok is false if the batch was deleted or is given up.
func (r *rebuilding) open(w backlog.Work) (ok bool, err error) {
	key := r.n.Key()
	if r.tx.Bucket(schema.BucketTrash).Get(key) != nil {
		return false, r.forget()
	}
	row := r.tx.Bucket(schema.BucketBatches).Get(key)
	if row != nil {
		if done, err := r.mendRow(schema.BucketBatches, key); err != nil {
			return false, err
		} else if done != "" {
			r.note(schema.BucketBatches, key, errors.New("its checksum does not match"), done)
		}
		row = r.tx.Bucket(schema.BucketBatches).Get(key)
	}
	if row != nil {
		b, err := schema.DecodeBatch(key, row)
		if err == nil {
			r.Batch, r.before, r.counts = b, b.Tally(), figuresOf(b)
			r.plan(w)
			return true, nil
		}
		r.note(schema.BucketBatches, key, err, isRebuilt)
	} else {
		r.note(schema.BucketBatches, key, errMissing, isRebuilt)
	}
	id, ok := r.identity()
	if !ok {
		return false, r.abandon(row)
	}
	if row != nil {
		if err := r.setAside(schema.BucketBatches, key, row); err != nil {
			return false, err
		}
	}
	at := time.UnixMilli(int64(r.n >> schema.NumberShift)).UTC()
	r.Lost, r.Batch = true, &store.Batch{Plan: id.Plan, ID: id.BatchID, FirstAt: at, LastAt: at}
	r.plan(w)
	return true, nil
}

// plan sets r.Policy to the feedback rules of the batch's service plan. If a report of the batch is applied to only
// some of its recipients, it also sets r.Partial to that report and r.Done to the number of these recipients.
func (r *rebuilding) plan(w backlog.Work) {
	r.Policy = r.s.config.Policies(r.Batch.Plan)
	if w.From.Within.Recipients > 0 && len(w.Parts) > 0 && len(w.Parts[0].Arrivals) > 0 {
		a := w.Parts[0].Arrivals[0]
		if a.Plan == r.Batch.Plan && a.Entry.Batch() == r.Batch.ID {
			r.Partial, r.Done = a, w.From.Within.Recipients
		}
	}
}

// figuresOf returns the counts of a batch's recipients as text, so that they can be compared with later ones.
func figuresOf(b *store.Batch) string { return fmt.Sprint(named(b.States), b.Feedback) }

// each calls visit for the row of every recipient of the batch. visit returns true if it has written the row. A new
// transaction may then begin (see wrote).
func (r *rebuilding) each(visit func(key, row []byte) (wrote bool, err error)) error {
	for after := r.n.Key(); ; {
		c := r.tx.Bucket(schema.BucketRecipients).Cursor()
		wrote := false
		key, row := c.Seek(after)
		for ; key != nil && schema.NumberOf(key) == r.n && !wrote; key, row = c.Next() {
			if bytes.Compare(key, after) < 0 {
				continue // a row with a damaged key, out of order
			}
			after = append(bytes.Clone(key), 0)
			var err error
			if wrote, err = visit(after[:len(after)-1:len(after)-1], row); err != nil {
				return err
			}
		}
		if !wrote {
			return nil
		}
		if err := r.wrote(1); err != nil {
			return err
		}
	}
}

// settle decides the feedback state of the rebuilt recipients and writes it to their rows. It stores the decision
// first, so that it remains the same after a crash.
func (r *rebuilding) settle() error {
	err := r.each(func(key, row []byte) (bool, error) {
		rec, err := rebuiltIn(key, row)
		if err != nil {
			return true, r.unreported(key, row, err)
		}
		r.Tally(&rec)
		return false, nil
	})
	if err != nil {
		return err
	}
	var v fold.Verdict
	if kept := mendingOf(r.tx, r.n.Key()); len(kept) == 2 {
		v = fold.Verdict{All: kept[0] == 1, State: store.FeedbackState(kept[1])}
	} else {
		v = r.Decide()
		how := []byte{0, byte(v.State)}
		if v.All {
			how[0] = 1
		}
		if err := r.later(r.n.Key(), how); err != nil {
			return err
		}
	}
	return r.each(func(key, row []byte) (wrote bool, err error) {
		rec, err := rebuiltIn(key, row)
		if err != nil {
			return false, err
		}
		if wrote = rec.Feedback == fold.FeedbackUnsettled; wrote {
			v.Settle(&rec, r.Policy, r.Batch.LastAt)
			err = r.tx.Bucket(schema.BucketRecipients).Put(key, schema.SealRecipient(key, &rec))
		}
		r.Count(&rec)
		return wrote, err
	})
}

// unreported handles the damaged row of a recipient that no report names. If an index, BucketNumbers, has the
// recipient, a new row with only the phone number replaces it. Otherwise the row is moved to BucketDamaged.
func (r *rebuilding) unreported(key, row []byte, cause error) error {
	number := schema.NumberKeyOf(key)
	found, _ := r.tx.Bucket(schema.BucketNumbers).Cursor().Seek(number)
	r.rowsMade = true
	digits := string(key[8:])
	if !bytes.Equal(found, number) || schema.Hashed(digits, schema.MaxDigits) {
		r.note(schema.BucketRecipients, key, cause, isAside)
		return r.remove(schema.BucketRecipients, key, row)
	}
	r.note(schema.BucketRecipients, key, cause, "no report of its batch names it: its number is kept")
	rec := store.Recipient{Number: digits, Feedback: fold.FeedbackUnsettled}
	r.Tally(&rec)
	return errors.Join(
		r.setAside(schema.BucketRecipients, key, row),
		r.tx.Bucket(schema.BucketRecipients).Put(key, schema.SealRecipient(key, &rec)),
	)
}

// finish writes the batch's row and index entries, corrects the totals and ends the rebuild by calling forget.
func (r *rebuilding) finish() error {
	old := schema.IndexKeys{}
	if !r.Lost {
		old = schema.IndexKeysOf(r.Batch, r.n)
	} else if err := r.dropEntries(r.n); err != nil {
		return err
	}
	r.Finish()
	if !r.Lost && !r.rowsMade && figuresOf(r.Batch) != r.counts {
		r.note(schema.BucketBatches, r.n.Key(), errCounts, isRecounted)
	}
	if r.Lost {
		if err := r.recountLater(); err != nil {
			return err
		}
	} else {
		t := &r.totals.Plan(r.Batch.Plan).Feedback
		t.Sub(r.before)
		t.Add(r.Batch.Tally())
		if err := r.totals.Save(r.tx); err != nil {
			return err
		}
	}
	return errors.Join(
		r.tx.Bucket(schema.BucketBatches).Put(r.n.Key(), schema.SealBatch(r.n, r.Batch)),
		r.tx.Bucket(schema.BucketIDs).Put(schema.IDKey(r.Batch.Key()), r.n.Key()),
		schema.Reindex(r.tx, old, schema.IndexKeysOf(r.Batch, r.n)),
		r.forget(),
	)
}

// forget removes the batch from BucketMending, the list of batches to rebuild.
func (r *rebuilding) forget() error { return r.tx.Bucket(schema.BucketMending).Delete(r.n.Key()) }

// rebuiltIn decodes a recipient's row. Unlike schema.DecodeRecipient, it accepts a row whose feedback state is not
// decided yet.
func rebuiltIn(key, row []byte) (store.Recipient, error) {
	rec, err := schema.DecodeRecipient(key, row)
	if errors.Is(err, schema.ErrUnsettled) {
		err = nil
	}
	return rec, err
}

// errCounts means that a batch's row is intact, but its counts do not match the batch's recipients.
var errCounts = errors.New("its counts do not match its recipients")
