package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
)

// rebuildStep is how many rows a transaction of a rebuild writes.
const rebuildStep = 4096

// rebuilding makes the damaged rows of one batch again, and those of recipients that its report log names and that
// have none. It takes as many transactions as it needs. Bucket mending has the batch until the last one, so that a
// start goes on after a crash: it begins anew, and finds what was rebuilt before by its feedback state.
type rebuilding struct {
	store.Rebuild
	*writeTx
	n      number
	room   int // rows that this transaction may still write
	before store.Tally
	counts string // figures of the batch, as stored
	made   bool   // rows of recipients were made again, which may change the figures
	found  []finding
}

// rebuildAll rebuilds the batches in bucket mending, and counts the totals if their row is lost.
func (s *Store) rebuildAll(w work) error {
	for {
		n, totals, err := s.toRebuild()
		switch {
		case err != nil:
			return err
		case n == 0 && !totals:
			return nil
		case s.config.settled:
			return errUnmended
		case n == 0:
			return s.recount()
		}
		if err := s.rebuild(n, w); err != nil {
			return fmt.Errorf("rebuild batch %x: %w", n.key(), err)
		}
	}
}

// errUnmended refuses a store that is opened to be copied.
var errUnmended = errors.New("rows are damaged and can be rebuilt, but the policies of the plans decide " +
	"what feedback is owed: start dlrloop on the folder first")

// toRebuild is the first batch in bucket mending, and whether the totals are in it.
func (s *Store) toRebuild() (n number, totals bool, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		mending := tx.Bucket(bucketMending)
		if mending == nil {
			return nil
		}
		c := mending.Cursor()
		for key, _ := c.First(); key != nil && n == 0; key, _ = c.Next() {
			if totals = totals || bytes.Equal(key, keyTotals); len(key) == 8 {
				n = numberOf(key)
			}
		}
		return nil
	})
	return n, totals, err
}

// rebuild rebuilds one batch. The first arrival of w may be the rest of a report that is folded in part.
func (s *Store) rebuild(n number, w work) error {
	c, err := s.begin()
	if err != nil {
		return err
	}
	r := &rebuilding{writeTx: c, n: n, room: rebuildStep}
	err = guarded(func() error { return r.run(w) })
	if r.writeTx != nil && errors.Is(err, errExpired) {
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
	s.tell(r.found)
	return nil
}

func (r *rebuilding) run(w work) error {
	if known, err := r.open(w); !known || err != nil {
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

// wrote counts rows that were written, and begins a new transaction after enough of them.
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
	s.tell(r.found)
	r.found, r.room = nil, rebuildStep
	var err error
	if r.writeTx, err = s.begin(); err != nil {
		return err
	}
	if !r.Lost && r.tx.Bucket(bucketBatches).Get(r.n.key()) == nil {
		return errExpired
	}
	return nil
}

// errExpired means that retention has deleted a batch while it was being rebuilt.
var errExpired = errors.New("the batch has expired")

// lost notes a damaged row and what is done about it.
func (r *rebuilding) lost(bucket, key []byte, err error, done string) {
	d, ok := errors.AsType[*damageError](err)
	if !ok {
		d = damage(bucket, key, err).(*damageError)
	}
	r.found = append(r.found, finding{d, done})
}

// open reads the batch's row, or begins it anew. It returns false if there is nothing to be rebuilt.
func (r *rebuilding) open(w work) (known bool, err error) {
	key := r.n.key()
	if r.tx.Bucket(bucketTrash).Get(key) != nil {
		return false, r.forget()
	}
	row := r.tx.Bucket(bucketBatches).Get(key)
	if row != nil {
		if done, err := r.mendRow(bucketBatches, key); err != nil {
			return false, err
		} else if done != "" {
			r.lost(bucketBatches, key, errors.New("its checksum does not match"), done)
		}
		row = r.tx.Bucket(bucketBatches).Get(key)
	}
	if row != nil {
		b, err := batchIn(key, row)
		if err == nil {
			r.Batch, r.before, r.counts = b, b.Tally(), figuresOf(b)
			return true, r.plan(w)
		}
		r.lost(bucketBatches, key, err, isRebuilt)
	} else {
		r.lost(bucketBatches, key, errMissing, isRebuilt)
	}
	id, ok := r.identity()
	if !ok {
		return false, r.abandon(row)
	}
	if row != nil {
		if err := r.setAside(bucketBatches, key, row); err != nil {
			return false, err
		}
	}
	at := time.UnixMilli(int64(r.n >> numberShift)).UTC()
	r.Lost, r.Batch = true, &store.Batch{Plan: id.Plan, ID: id.BatchID, FirstAt: at, LastAt: at}
	return true, r.plan(w)
}

// plan sets what the batch's plan and the journal say.
func (r *rebuilding) plan(w work) error {
	r.Policy = r.s.config.Policies(r.Batch.Plan)
	if w.from.within.recipients > 0 && len(w.parts) > 0 && len(w.parts[0].arrivals) > 0 {
		a := w.parts[0].arrivals[0]
		if a.Plan == r.Batch.Plan && a.News.Batch() == r.Batch.ID {
			r.Partial, r.Done = a, w.from.within.recipients
		}
	}
	return nil
}

// figuresOf are the figures of a batch that its recipients give.
func figuresOf(b *store.Batch) string { return fmt.Sprint(named(b.States), b.Feedback) }

// each visits the batch's recipients in as many transactions as it takes. visit reports whether it wrote.
func (r *rebuilding) each(visit func(key, row []byte) (wrote bool, err error)) error {
	for after := r.n.key(); ; {
		c := r.tx.Bucket(bucketRecipients).Cursor()
		wrote := false
		key, row := c.Seek(after)
		for ; key != nil && numberOf(key) == r.n && !wrote; key, row = c.Next() {
			if bytes.Compare(key, after) < 0 {
				continue // it stands at a wrong place
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

// settle decides what feedback the rebuilt recipients earned. The decision is kept, since it could not be made again
// once some of them have it.
func (r *rebuilding) settle() error {
	err := r.each(func(key, row []byte) (bool, error) {
		rec, err := rebuiltIn(key, row)
		if err != nil {
			return true, r.unnamed(key, row, err)
		}
		r.Weigh(&rec)
		return false, nil
	})
	if err != nil {
		return err
	}
	var v store.Verdict
	if kept := mendingOf(r.tx, r.n.key()); len(kept) == 2 {
		v = store.Verdict{Everyone: kept[0] == 1, State: store.FeedbackState(kept[1])}
	} else {
		v = r.Decide()
		how := []byte{0, byte(v.State)}
		if v.Everyone {
			how[0] = 1
		}
		if err := r.later(r.n.key(), how); err != nil {
			return err
		}
	}
	return r.each(func(key, row []byte) (wrote bool, err error) {
		rec, err := rebuiltIn(key, row)
		if err != nil {
			return false, err
		}
		if wrote = rec.Feedback == store.FeedbackUnsettled; wrote {
			v.Settle(&rec, r.Policy, r.Batch.LastAt)
			err = r.tx.Bucket(bucketRecipients).Put(key, sealRecipient(key, &rec))
		}
		r.Count(&rec)
		return wrote, err
	})
}

// unnamed deals with a damaged row of a recipient that no report names. If the index of numbers has it too, its key
// is not what is damaged: it is known by its number alone. Else it is deleted.
func (r *rebuilding) unnamed(key, row []byte, cause error) error {
	number := numberKeyOf(key)
	found, _ := r.tx.Bucket(bucketNumbers).Cursor().Seek(number)
	r.made = true
	digits := string(key[8:])
	if !bytes.Equal(found, number) || hashed(digits, maxDigits) {
		r.lost(bucketRecipients, key, cause, isAside)
		return r.remove(bucketRecipients, key, row)
	}
	r.lost(bucketRecipients, key, cause, "no report of its batch names it: its number is kept")
	rec := store.Recipient{Number: digits, Feedback: store.FeedbackUnsettled}
	r.Weigh(&rec)
	return errors.Join(
		r.setAside(bucketRecipients, key, row),
		r.tx.Bucket(bucketRecipients).Put(key, sealRecipient(key, &rec)),
	)
}

// finish writes the batch's row and what follows from it.
func (r *rebuilding) finish() error {
	old := place{}
	if !r.Lost {
		old = placeOf(r.Batch, r.n)
	} else if err := r.dropEntries(r.n); err != nil {
		return err
	}
	r.Finish()
	if !r.Lost && !r.made && figuresOf(r.Batch) != r.counts {
		r.lost(bucketBatches, r.n.key(), errCounts, isRecounted)
	}
	if r.Lost {
		if err := r.recountLater(); err != nil {
			return err
		}
	} else {
		t := &r.totals.plan(r.Batch.Plan).Feedback
		t.Sub(r.before)
		t.Add(r.Batch.Tally())
		if err := r.totals.save(r.tx); err != nil {
			return err
		}
	}
	return errors.Join(
		r.tx.Bucket(bucketBatches).Put(r.n.key(), sealBatch(r.n, r.Batch)),
		r.tx.Bucket(bucketIDs).Put(idKey(r.Batch.Key()), r.n.key()),
		move(r.tx, old, placeOf(r.Batch, r.n)),
		r.forget(),
	)
}

// forget takes the batch out of bucket mending.
func (r *rebuilding) forget() error { return r.tx.Bucket(bucketMending).Delete(r.n.key()) }

// rebuiltIn is recipientIn for a row that may be unsettled.
func rebuiltIn(key, row []byte) (store.Recipient, error) {
	rec, err := recipientIn(key, row)
	if errors.Is(err, errUnsettled) {
		err = nil
	}
	return rec, err
}

// errCounts is why a batch is found damaged whose row is what was written.
var errCounts = errors.New("it counts other recipients than are there")
