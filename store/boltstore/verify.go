package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/backlog"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// verifySize is the size in bytes up to which Open verifies the whole database. In a larger database, a row is verified
// when it is read.
const verifySize = 64 << 20

// verify reads the whole database, mends and reports damaged rows, and rebuilds wrong indexes. If it returns an error,
// nothing may be written to the database.
func (s *Store) verify() error {
	var v *verifier
	for round := 0; ; round++ {
		v = newVerifier()
		if err := guarded(func() error { return s.db.View(v.run) }); err != nil {
			for _, d := range v.damaged {
				s.reportDamaged(d, d)
			}
			return fmt.Errorf("open store: %s is damaged: %w: %s", s.db.Path(), err, remedy)
		}
		if len(v.damaged) == 0 {
			break
		}
		if round == maxRounds {
			for _, d := range v.damaged {
				s.reportDamaged(d, fmt.Errorf("%w: it cannot be mended", d))
			}
			return nil
		}
		if err := s.mendRows(v.damaged, v.copy); err != nil {
			return fmt.Errorf("open store: %s: %w", s.db.Path(), err)
		}
		s.damageFound = true
	}
	wrong := v.wrongIndexes()
	if len(wrong) == 0 || len(v.mending) > 0 {
		return nil // the indexes of batches that are not rebuilt yet cannot be compared
	}
	for _, name := range wrong {
		err := fmt.Errorf("%w: index %s did not match the rows and is rebuilt", store.ErrDamaged, name)
		s.reportDamaged(err, err)
	}
	return guarded(func() error { return s.db.Update(func(tx *bolt.Tx) error { return rebuildIndexes(tx, wrong) }) })
}

// maxRounds is how many times verify mends rows and reads the database again, before it reports the remaining damage.
const maxRounds = 4

// mendAtStart mends what BucketMending lists, even from before a crash. If verify found damage, it then verifies the
// database again. w holds the journal frames that are applied next.
func (s *Store) mendAtStart(w backlog.Work) error {
	if err := s.rebuildAll(w); err != nil || !s.damageFound {
		return err
	}
	if err := s.verify(); err != nil {
		return err
	}
	return s.rebuildAll(w)
}

// verifier reads the whole database once and collects the damage. For each index, it compares two sums of hashes: that
// of the entries that must exist, and that of the entries found.
type verifier struct {
	seed        maphash.Seed
	want, found map[string]uint64 // per index: sum of the hashes of required and of present entries
	damaged     []*schema.DamageError
	copy        map[string]bool        // buckets that must be copied, since a key in them may be damaged
	mending     map[schema.Number]bool // batches already marked for rebuilding; their damage is not reported again
}

func newVerifier() *verifier {
	return &verifier{
		seed: maphash.MakeSeed(), want: make(map[string]uint64), found: make(map[string]uint64),
		copy: make(map[string]bool), mending: make(map[schema.Number]bool),
	}
}

// add records the damaged row if err is a *schema.DamageError, and ignores any other error.
func (v *verifier) add(err error) {
	if d, ok := errors.AsType[*schema.DamageError](err); ok {
		v.damaged = append(v.damaged, d)
	}
}

// run reads the whole database and collects the damage in v. It returns an error only if the database cannot be read.
func (v *verifier) run(tx *bolt.Tx) error {
	if mending := tx.Bucket(schema.BucketMending); mending != nil {
		err := mending.ForEach(func(key, _ []byte) error {
			if len(key) == 8 {
				v.mending[schema.NumberOf(key)] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if err := v.branches(tx); err != nil {
		return err
	}
	for _, name := range schema.Buckets {
		if err := v.bucket(tx, name); err != nil {
			return err
		}
	}
	if err := v.batches(tx); err != nil {
		return err
	}
	if err := v.destinations(tx); err != nil {
		return err
	}
	return eachInbound(tx, v.add, func(e schema.Entry) error {
		v.want[string(e.Bucket)] += v.hash(e.Key, e.Row)
		return nil
	})
}

// eachInbound calls visit for each index entry that the stored inbound messages must have, until visit fails. It calls
// damaged for each message that cannot be decoded.
func eachInbound(tx *bolt.Tx, damaged func(error), visit func(schema.Entry) error) error {
	return tx.Bucket(schema.BucketInbound).ForEach(func(key, row []byte) error {
		m, err := schema.DecodeInbound(key, row)
		if err != nil {
			damaged(err)
			return nil
		}
		for _, e := range schema.InboundEntriesOf(key, &m) {
			if err := visit(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// bucket checks every row of a bucket: its checksum must match, and a search for its key must find it.
func (v *verifier) bucket(tx *bolt.Tx, name []byte) error {
	// bbolt's own check cannot be used, because it panics in a goroutine of its own.
	index := slices.ContainsFunc(schema.Indexes, func(i []byte) bool { return bytes.Equal(i, name) })
	b, last := tx.Bucket(name), []byte(nil)
	return b.ForEach(func(key, row []byte) error {
		found := b.Get(key) != nil
		if !index && (last != nil && bytes.Compare(last, key) >= 0 || !found) {
			v.copy[string(name)] = true
			v.add(schema.Damage(name, key, errMisplaced))
		}
		if last = key; index && !found {
			return nil // not added to found, so the index is rebuilt
		}
		ids := bytes.Equal(name, schema.BucketIDs)
		if ids && tx.Bucket(schema.BucketBatches).Get(row) == nil && !v.mending[schema.NumberOf(row)] {
			v.add(schema.Damage(schema.BucketBatches, row, errMissing))
		}
		if index {
			v.found[string(name)] += v.hash(key, row)
			return nil
		}
		if _, err := schema.Unseal(name, key, row); err != nil && !v.rebuilds(name, key) {
			v.copy[string(name)] = true
			v.add(err)
		}
		return nil
	})
}

// rebuilds reports whether a row belongs to a batch that will be rebuilt, so that its damage need not be reported.
func (v *verifier) rebuilds(bucket, key []byte) bool {
	return v.mending[schema.NumberOf(key)] && ofBatch(bucket)
}

// ofBatch reports whether a bucket holds batches or recipients, whose rows can be rebuilt from reports.
func ofBatch(bucket []byte) bool {
	return bytes.Equal(bucket, schema.BucketBatches) || bytes.Equal(bucket, schema.BucketRecipients)
}

// errMisplaced means that a search for a row's key does not find the row.
var errMisplaced = errors.New("a search for its key does not find it")

// errMissing means that a recipient has no row, or that a batch with recipients or index entries has no row.
var errMissing = errors.New("it is missing")

// hash returns a hash of one index entry. The sums of these hashes in v.want and v.found are compared later.
func (v *verifier) hash(key, row []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(v.seed)
	_, _ = h.Write(key) // it never fails
	_, _ = h.Write([]byte{0, 1})
	_, _ = h.Write(row)
	return h.Sum64()
}

// batches compares each batch's counts with its recipients. For each index entry that must exist, it adds a hash to the
// sum in v.want.
func (v *verifier) batches(tx *bolt.Tx) error {
	recipients, trash := tx.Bucket(schema.BucketRecipients).Cursor(), tx.Bucket(schema.BucketTrash)
	digits, row := recipients.First()
	orphans := func(before schema.Number) {
		for ; digits != nil && schema.NumberOf(digits) < before; digits, row = recipients.Next() {
			if n := schema.NumberOf(digits); trash.Get(n.Key()) == nil && !v.mending[n] {
				v.add(schema.Damage(schema.BucketBatches, n.Key(), errMissing))
			}
			v.want[string(schema.BucketNumbers)] += v.hash(schema.NumberKeyOf(digits), nil)
		}
	}
	err := tx.Bucket(schema.BucketBatches).ForEach(func(key, encoded []byte) error {
		n := schema.NumberOf(key)
		orphans(n)
		b, err := schema.DecodeBatch(key, encoded)
		if err != nil {
			b = &store.Batch{} // bucket has recorded the damage already, unless only the content does not decode
			if !v.mending[n] {
				v.add(err)
			}
		}
		states, feedback := make(map[dlr.Status]int), store.FeedbackCounts{}
		for ; digits != nil && schema.NumberOf(digits) == n; digits, row = recipients.Next() {
			v.want[string(schema.BucketNumbers)] += v.hash(schema.NumberKeyOf(digits), nil)
			r, err := schema.DecodeRecipient(digits, row)
			if err != nil {
				if !v.mending[n] {
					v.add(err)
				}
				continue
			}
			feedback.Add(r.Feedback, 1)
			if held, reported := r.State(); reported {
				states[held.Status]++
			}
		}
		if err == nil && !v.mending[n] && (feedback != b.Feedback || named(states) != named(b.States)) {
			v.add(schema.Damage(schema.BucketBatches, key, errCounts))
		}
		v.list(n, b)
		return nil
	})
	orphans(^schema.Number(0))
	return err
}

// named returns the sum of the counts by status. Only this sum can be compared, because older versions may have counted
// a recipient under another status.
func named(states map[dlr.Status]int) (n int) {
	for _, count := range states {
		n += count
	}
	return n
}

// list adds the hashes of the index entries that batch b must have to v.want, except those of its recipients.
func (v *verifier) list(n schema.Number, b *store.Batch) {
	for _, e := range schema.EntriesOf(n, b) {
		v.want[string(e.Bucket)] += v.hash(e.Key, e.Row)
	}
}

// wrongIndexes returns the names of the indexes whose entries differ from those that the rows require.
func (v *verifier) wrongIndexes() (wrong []string) {
	for _, name := range schema.Indexes {
		if v.want[string(name)] != v.found[string(name)] {
			wrong = append(wrong, string(name))
		}
	}
	return wrong
}

// rebuildIndexes empties the named indexes and fills them again from the stored rows.
func rebuildIndexes(tx *bolt.Tx, names []string) error {
	for _, name := range names {
		if err := tx.DeleteBucket([]byte(name)); err != nil {
			return err
		}
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	put := func(e schema.Entry) error {
		if !slices.Contains(names, string(e.Bucket)) {
			return nil
		}
		return tx.Bucket(e.Bucket).Put(e.Key, e.Row)
	}
	err := tx.Bucket(schema.BucketBatches).ForEach(func(key, row []byte) error {
		b, err := schema.DecodeBatch(key, row)
		if err != nil {
			return err
		}
		for _, e := range schema.EntriesOf(schema.NumberOf(key), b) {
			if err := put(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = tx.Bucket(schema.BucketRecipients).ForEach(func(key, _ []byte) error {
		return put(schema.Entry{Bucket: schema.BucketNumbers, Key: schema.NumberKeyOf(key)})
	})
	if err != nil {
		return err
	}
	return eachInbound(tx, func(error) {}, put)
}
