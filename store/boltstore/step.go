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
	"github.com/dlrloop/dlrloop/store/boltstore/internal/backlog"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/fold"
)

// step is one transaction that applies recorded arrivals to the database. It changes copies of the store's totals.
// After the commit, install replaces the originals.
type step struct {
	s  *Store
	tx *bolt.Tx

	last       schema.Number
	numbers    [][]byte // keys to add to bucket numbers
	yielder    *yielder
	totals     schema.Totals
	minutes    map[fold.MinuteKey]int
	quarantine quarantined
	eventRange schema.EventRange
	events     stepEvents
	evicted    int
	changes    []store.Changes
	settled    []string // leases of the settlements in this step
	key        []byte   // buffer for one key; bbolt copies what it is given
}

func newStep(s *Store, tx *bolt.Tx) *step {
	return &step{
		s: s, tx: tx, last: s.last, totals: s.totals.Clone(), quarantine: s.quarantine,
		eventRange: s.eventRange, minutes: make(map[fold.MinuteKey]int),
	}
}

// install replaces the store's totals by the copies that the step has changed. Call it after the commit.
func (st *step) install() {
	st.s.last, st.s.totals, st.s.quarantine, st.s.eventRange = st.last, st.totals, st.quarantine, st.eventRange
}

// batchArrivals holds the arrivals (such as reports) of one batch that a step applies, in the order of the journal.
type batchArrivals struct {
	key      store.BatchKey
	number   schema.Number
	isNew    bool // no row of the batch exists yet
	arrivals []store.Arrival
}

// fold applies the journal frames in w to the database. It stores the new journal position in the same transaction.
func (st *step) fold(w backlog.Work) error {
	reached, err := schema.ReadPosition(st.tx)
	if err != nil {
		return err
	}
	if !reached.Follows(w.From) {
		return fmt.Errorf("%s does not follow %s", w.From.Next(), reached)
	}
	chunk := reached.Chunk()
	batches := st.sort(w.Parts)
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
	if err := st.putSorted(st.tx.Bucket(schema.BucketNumbers), st.numbers); err != nil {
		return err
	}
	if err := st.keepQuarantined(w.Parts); err != nil {
		return err
	}
	if err := st.keepInbound(w.Parts); err != nil {
		return err
	}
	if err := st.keepEvents(); err != nil {
		return err
	}
	if err := st.addMinutes(); err != nil {
		return err
	}
	if err := st.totals.Save(st.tx); err != nil {
		return err
	}
	return st.tx.Bucket(schema.BucketMeta).Put(schema.KeyPosition, reached.Advance(w.To, st.s.journal.Salt()).Row())
}

// sort groups the arrivals (such as reports) by batch, keeping their order, and gives each new batch a number. It
// returns the batches sorted by number.
func (st *step) sort(parts []backlog.Part) []*batchArrivals {
	byKey := make(map[store.BatchKey]*batchArrivals)
	var all []*batchArrivals
	ids := st.tx.Bucket(schema.BucketIDs)
	for _, p := range parts {
		for _, a := range p.Arrivals {
			id := a.Entry.Batch()
			if id == "" {
				continue
			}
			key := store.BatchKey{Plan: a.Plan, BatchID: id}
			b := byKey[key]
			if b == nil {
				b = &batchArrivals{key: key}
				if found := ids.Get(schema.IDKey(key)); found != nil {
					b.number = schema.NumberOf(found)
				} else {
					st.last = max(st.last+1, schema.NumberAt(a.At))
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

// indexNewBatches adds the new batches to BucketIDs, which maps plan and batch id to the batch number.
func (st *step) indexNewBatches(batches []*batchArrivals) error {
	numbers := make(map[string]schema.Number)
	for _, b := range batches {
		if b.isNew {
			numbers[string(schema.IDKey(b.key))] = b.number
		}
	}
	ids := st.tx.Bucket(schema.BucketIDs)
	for _, id := range slices.Sorted(maps.Keys(numbers)) {
		if err := ids.Put([]byte(id), numbers[id].Key()); err != nil {
			return err
		}
	}
	return nil
}

// putSorted adds keys with empty values to a bucket. It sorts them first, because bbolt inserts sorted keys fastest.
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

// foldBatch applies the arrivals (such as reports) of one batch and writes the changed rows. Its reports become a new
// row of the report log; chunk is the number of that row.
func (st *step) foldBatch(b *batchArrivals, chunk uint64) error {
	policy := st.s.config.Policies(b.key.Plan)
	rows := fold.Rows{Batch: &store.Batch{Plan: b.key.Plan, ID: b.key.BatchID}, Chunk: chunk}
	before := schema.IndexKeys{}
	if !b.isNew {
		batch, err := schema.DecodeBatch(b.number.Key(), st.tx.Bucket(schema.BucketBatches).Get(b.number.Key()))
		if err == nil && batch.Key() != b.key {
			err = schema.Damage(schema.BucketIDs, schema.IDKey(b.key), errors.New("it points to another batch"))
		}
		if err != nil {
			return fmt.Errorf("batch %s: %w", b.key.BatchID, err)
		}
		rows.Batch, before = batch, schema.IndexKeysOf(batch, b.number)
	}
	if err := st.loadRecipients(b, &rows); err != nil {
		return fmt.Errorf("batch %s: %w", b.key.BatchID, err)
	}
	changes := fold.Fold(&rows, b.arrivals, policy)
	st.changes = append(st.changes, changes)
	st.settled = append(st.settled, changes.Settled...)
	st.totals.Apply(changes)
	fold.AddMinutes(st.minutes, changes)
	st.events.add(rows.Events...)
	return errors.Join(
		st.saveRecipients(b.number, rows.Recipients),
		st.tx.Bucket(schema.BucketBatches).Put(b.number.Key(), schema.SealBatch(b.number, rows.Batch)),
		schema.Reindex(st.tx, before, schema.IndexKeysOf(rows.Batch, b.number)),
		st.saveLog(b.number, chunk, rows.Log),
	)
}

// loadRecipients reads the stored rows of all recipients that the arrivals (such as reports) in b name.
func (st *step) loadRecipients(b *batchArrivals, rows *fold.Rows) (err error) {
	rows.Recipients = make(map[string]*fold.Row, len(b.arrivals))
	if b.isNew {
		return nil
	}
	c := st.tx.Bucket(schema.BucketRecipients).Cursor()
	for _, a := range b.arrivals {
		fold.Touches(a, func(digits string) {
			if err != nil || rows.Recipients[digits] != nil {
				return
			}
			st.key = schema.AppendRecipientKey(st.key[:0], b.number, digits)
			found, row := c.Seek(st.key)
			if !bytes.Equal(found, st.key) {
				return
			}
			r, decodeErr := schema.DecodeRecipient(found, row)
			rows.Recipients[digits] = &fold.Row{Recipient: r}
			err = decodeErr
		})
	}
	return err
}

// saveRecipients writes the changed recipients of batch n. It adds new ones to st.numbers, from which the index of
// phone numbers is written later.
func (st *step) saveRecipients(n schema.Number, rows map[string]*fold.Row) error {
	recipients := st.tx.Bucket(schema.BucketRecipients)
	for _, digits := range slices.Sorted(maps.Keys(rows)) { // see putSorted
		r := rows[digits]
		if !r.Changed {
			continue
		}
		st.key = schema.AppendRecipientKey(st.key[:0], n, digits)
		if err := recipients.Put(st.key, schema.SealRecipient(st.key, &r.Recipient)); err != nil {
			return err
		}
		if r.New {
			st.numbers = append(st.numbers, schema.NumberKey(n, digits))
		}
	}
	return nil
}

// saveLog writes the raw reports of batch n to the report log, as one compressed row with the given chunk number.
func (st *step) saveLog(n schema.Number, chunk uint64, reports []store.Logged) error {
	if len(reports) == 0 {
		return nil
	}
	key := schema.LogKey(n, chunk)
	return st.tx.Bucket(schema.BucketLog).Put(key, st.s.compressor.Pack(key, reports))
}

// addMinutes adds the messages that this transaction has counted to the stored counts per minute.
func (st *step) addMinutes() error {
	bucket := st.tx.Bucket(schema.BucketMinutes)
	for k, n := range st.minutes {
		key := schema.MinuteKey(k)
		if row := bucket.Get(key); row != nil {
			counted, err := schema.DecodeCount(key, row)
			if err != nil {
				return err
			}
			n += counted
		}
		if err := bucket.Put(key, schema.SealCount(key, n)); err != nil {
			return err
		}
	}
	return nil
}
