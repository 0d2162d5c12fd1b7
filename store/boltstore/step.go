package boltstore

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
)

// step is one transaction of the fold. It works on copies of the store's totals, which install puts in place after the
// commit.
type step struct {
	s  *Store
	tx *bolt.Tx

	last       number
	numbers    [][]byte // keys to add to bucket numbers
	yielder    *yielder
	totals     totals
	minutes    map[store.MinuteKey]int
	quarantine quarantined
	evicted    int
	changes    []store.Changes
	settled    []string // leases of the settlements in this step
	key        []byte   // buffer for one key; bbolt copies what it is given
}

func newStep(s *Store, tx *bolt.Tx) *step {
	return &step{
		s: s, tx: tx, last: s.last, totals: s.totals.clone(), quarantine: s.quarantine,
		minutes: make(map[store.MinuteKey]int),
	}
}

// install makes the step's totals those of the store, after the commit.
func (st *step) install() {
	st.s.last, st.s.totals, st.s.quarantine = st.last, st.totals, st.quarantine
}

// batchArrivals holds the arrivals of one batch in a step.
type batchArrivals struct {
	key      store.BatchKey
	number   number
	isNew    bool // no row of the batch exists yet
	arrivals []store.Arrival
}

// fold folds w and stores the journal position reached.
func (st *step) fold(w work) error {
	reached, err := positionIn(st.tx)
	if err != nil {
		return err
	}
	if !reached.follows(w.from) {
		return fmt.Errorf("%s does not follow %s", w.from.next(), reached)
	}
	chunk := reached.chunk()
	batches := st.sort(w.parts)
	if err := st.indexNewBatches(batches); err != nil {
		return err
	}
	st.yielder = newYielder(st.s, w)
	for _, b := range batches {
		if err := st.foldBatch(b, chunk); err != nil {
			return err
		}
		st.yielder.yield()
	}
	if err := st.putSorted(st.tx.Bucket(bucketNumbers), st.numbers); err != nil {
		return err
	}
	if err := st.keepQuarantined(w.parts); err != nil {
		return err
	}
	if err := st.addMinutes(); err != nil {
		return err
	}
	if err := st.totals.save(st.tx); err != nil {
		return err
	}
	return st.tx.Bucket(bucketMeta).Put(keyPosition, reached.advance(w.to, st.s.journal.Salt()).row())
}

// sort groups the arrivals by batch, in their order, and gives new batches a number. It sorts the batches by number,
// so that neighboring rows in the file are written together.
func (st *step) sort(parts []part) []*batchArrivals {
	byKey := make(map[store.BatchKey]*batchArrivals)
	var all []*batchArrivals
	ids := st.tx.Bucket(bucketIDs)
	for _, p := range parts {
		for _, a := range p.arrivals {
			if settlement, ok := a.News.(store.Settlement); ok {
				st.settled = append(st.settled, settlement.Lease)
			}
			id := a.News.Batch()
			if id == "" {
				continue
			}
			key := store.BatchKey{Plan: a.Plan, BatchID: id}
			b := byKey[key]
			if b == nil {
				b = &batchArrivals{key: key}
				if found := ids.Get(idKey(key)); found != nil {
					b.number = numberOf(found)
				} else {
					st.last = max(st.last+1, numberAt(a.At))
					b.number, b.isNew = st.last, true
				}
				byKey[key] = b
				all = append(all, b)
			}
			b.arrivals = append(b.arrivals, a)
		}
	}
	slices.SortFunc(all, func(a, b *batchArrivals) int { return cmp.Compare(a.number, b.number) })
	return all
}

// indexNewBatches adds the new batches to bucket ids.
func (st *step) indexNewBatches(batches []*batchArrivals) error {
	numbers := make(map[string]number)
	for _, b := range batches {
		if b.isNew {
			numbers[string(idKey(b.key))] = b.number
		}
	}
	ids := st.tx.Bucket(bucketIDs)
	for _, id := range slices.Sorted(maps.Keys(numbers)) {
		if err := ids.Put([]byte(id), numbers[id].key()); err != nil {
			return err
		}
	}
	return nil
}

// putSorted puts keys with empty rows, sorted. bbolt keeps what a transaction adds to a page in one slice until the
// commit: in any other order, each key would move on average half of the keys before it.
func (st *step) putSorted(b *bolt.Bucket, keys [][]byte) error {
	slices.SortFunc(keys, bytes.Compare)
	for i, key := range keys {
		if err := b.Put(key, nil); err != nil {
			return err
		}
		if i%64 == 63 {
			st.yielder.yield()
		}
	}
	return nil
}

// foldBatch folds the arrivals of one batch and writes the rows that changed.
func (st *step) foldBatch(b *batchArrivals, chunk uint64) error {
	policy := st.s.config.Policies(b.key.Plan)
	rows := store.Rows{Batch: &store.Batch{Plan: b.key.Plan, ID: b.key.BatchID}, Chunk: chunk}
	before := indexKeys{}
	if !b.isNew {
		batch, err := batchIn(b.number.key(), st.tx.Bucket(bucketBatches).Get(b.number.key()))
		if err == nil && batch.Key() != b.key {
			err = damage(bucketIDs, idKey(b.key), errors.New("it points to another batch"))
		}
		if err != nil {
			return fmt.Errorf("batch %s: %w", b.key.BatchID, err)
		}
		rows.Batch, before = batch, indexKeysOf(batch, b.number)
	}
	if err := st.loadRecipients(b, &rows); err != nil {
		return fmt.Errorf("batch %s: %w", b.key.BatchID, err)
	}
	changes := store.Fold(&rows, b.arrivals, policy)
	st.changes = append(st.changes, changes)
	st.totals.apply(changes)
	changes.Minutes(st.minutes)
	return errors.Join(
		st.saveRecipients(b.number, rows.Recipients),
		st.tx.Bucket(bucketBatches).Put(b.number.key(), sealBatch(b.number, rows.Batch)),
		reindex(st.tx, before, indexKeysOf(rows.Batch, b.number)),
		st.saveLog(b.number, chunk, rows.Log),
	)
}

// loadRecipients reads the rows of all recipients that the arrivals name.
func (st *step) loadRecipients(b *batchArrivals, rows *store.Rows) (err error) {
	rows.Recipients = make(map[string]*store.Row, len(b.arrivals))
	if b.isNew {
		return nil
	}
	c := st.tx.Bucket(bucketRecipients).Cursor()
	for _, a := range b.arrivals {
		store.Touches(a, func(digits string) {
			if err != nil || rows.Recipients[digits] != nil {
				return
			}
			st.key = appendRecipientKey(st.key[:0], b.number, digits)
			found, row := c.Seek(st.key)
			if !bytes.Equal(found, st.key) {
				return
			}
			r, decodeErr := recipientIn(found, row)
			rows.Recipients[digits] = &store.Row{Recipient: r}
			err = decodeErr
		})
	}
	return err
}

// saveRecipients writes the recipients that changed, and collects the keys of new ones for bucket numbers.
func (st *step) saveRecipients(n number, rows map[string]*store.Row) error {
	recipients := st.tx.Bucket(bucketRecipients)
	for _, digits := range slices.Sorted(maps.Keys(rows)) { // see putSorted
		r := rows[digits]
		if !r.Changed {
			continue
		}
		st.key = appendRecipientKey(st.key[:0], n, digits)
		if err := recipients.Put(st.key, sealRecipient(st.key, &r.Recipient)); err != nil {
			return err
		}
		if r.New {
			st.numbers = append(st.numbers, numberKey(n, digits))
		}
	}
	return nil
}

// indexKeys are the keys of one batch in the indexes due, buried and checks; nil where the batch is not listed.
type indexKeys struct{ due, buried, check []byte }

// indexKeysOf returns the keys under which b must be listed.
func indexKeysOf(b *store.Batch, n number) (p indexKeys) {
	if b.Task != nil {
		p.due = dueKey(b.Plan, b.Task.Due, n)
	}
	if b.Dead != nil {
		p.buried = buriedKey(b.Plan, n)
	}
	if b.Check != nil && !b.Check.Due.IsZero() {
		p.check = dueKey(b.Plan, b.Check.Due, n)
	}
	return p
}

// reindex deletes the keys in from from the indexes, and adds the keys in to.
func reindex(tx *bolt.Tx, from, to indexKeys) error {
	return errors.Join(
		replace(tx.Bucket(bucketDue), from.due, to.due),
		replace(tx.Bucket(bucketBuried), from.buried, to.buried),
		replace(tx.Bucket(bucketChecks), from.check, to.check),
	)
}

// replace deletes the key from and puts the key to; nil means none.
func replace(b *bolt.Bucket, from, to []byte) error {
	if slices.Equal(from, to) {
		return nil
	}
	if from != nil {
		if err := b.Delete(from); err != nil {
			return err
		}
	}
	if to != nil {
		return b.Put(to, nil)
	}
	return nil
}

// saveLog writes the raw reports of a batch as one compressed chunk.
func (st *step) saveLog(n number, chunk uint64, reports []store.Logged) error {
	if len(reports) == 0 {
		return nil
	}
	key := logKey(n, chunk)
	return st.tx.Bucket(bucketLog).Put(key, st.s.compressor.pack(key, reports))
}

// addMinutes adds the messages that the step has newly counted to the counts in bucket minutes.
func (st *step) addMinutes() error {
	bucket := st.tx.Bucket(bucketMinutes)
	for k, n := range st.minutes {
		key := minuteKey(k)
		if row := bucket.Get(key); row != nil {
			counted, err := countIn(key, row)
			if err != nil {
				return err
			}
			n += counted
		}
		if err := bucket.Put(key, sealCount(key, n)); err != nil {
			return err
		}
	}
	return nil
}
