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
)

// verifySize is how large a database a start verifies whole: so much is read in about a second. Rows of a larger one are
// verified as they are read.
const verifySize = 64 << 20

// verify reads the whole database and tells of what is not as it was written. Indexes that do not list what the rows say
// are made anew from them. An error means that the database may not be written to.
func (s *Store) verify() error {
	var v *verifier
	for round := 0; ; round++ {
		v = newVerifier()
		if err := guarded(func() error { return s.db.View(v.run) }); err != nil {
			for _, d := range v.damaged {
				s.damaged(d, d)
			}
			return fmt.Errorf("open store: %s is damaged: %w: %s", s.db.Path(), err, remedy)
		}
		if len(v.damaged) == 0 {
			break
		}
		if round == mostRounds {
			for _, d := range v.damaged {
				s.damaged(d, fmt.Errorf("%w: it cannot be mended", d))
			}
			return nil
		}
		if err := s.mendRows(v.damaged, v.copy); err != nil {
			return fmt.Errorf("open store: %s: %w", s.db.Path(), err)
		}
		s.doubtful = true
	}
	wrong := v.wrongIndexes()
	if len(wrong) == 0 || len(v.mending) > 0 {
		return nil // what is being rebuilt says nothing of its indexes
	}
	for _, name := range wrong {
		err := fmt.Errorf("%w: index %s did not list what the rows say and is made anew", store.ErrDamaged, name)
		s.damaged(err, err)
	}
	return guarded(func() error { return s.db.Update(func(tx *bolt.Tx) error { return remakeIndexes(tx, wrong) }) })
}

// mostRounds is how often a start reads the whole database to mend it.
const mostRounds = 4

// mendAtStart rebuilds what the start, or a mend that a crash has cut, has found damaged, and verifies what it wrote. w is
// what is folded first.
func (s *Store) mendAtStart(w work) error {
	if err := s.rebuildAll(w); err != nil || !s.doubtful {
		return err
	}
	if err := s.verify(); err != nil {
		return err
	}
	return s.rebuildAll(w)
}

// indexes are the buckets that follow from rows.
var indexes = [][]byte{bucketIDs, bucketDue, bucketBuried, bucketChecks, bucketNumbers}

// verifier is one reading of the whole database. It compares each index with what the rows call for by sums over hashes of
// their entries, which need no memory and no order.
type verifier struct {
	seed        maphash.Seed
	want, found map[string]uint64
	damaged     []*damageError
	copy        map[string]bool // buckets with rows whose keys may be damaged
	mending     map[number]bool // batches that are to be rebuilt: it is known that they are damaged
}

func newVerifier() *verifier {
	return &verifier{
		seed: maphash.MakeSeed(), want: make(map[string]uint64), found: make(map[string]uint64),
		copy: make(map[string]bool), mending: make(map[number]bool),
	}
}

// add adds damage of a row.
func (v *verifier) add(err error) {
	if d, ok := errors.AsType[*damageError](err); ok {
		v.damaged = append(v.damaged, d)
	}
}

func (v *verifier) run(tx *bolt.Tx) error {
	if mending := tx.Bucket(bucketMending); mending != nil {
		err := mending.ForEach(func(key, _ []byte) error {
			if len(key) == 8 {
				v.mending[numberOf(key)] = true
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
	for _, name := range buckets {
		if err := v.bucket(tx, name); err != nil {
			return err
		}
	}
	return v.batches(tx)
}

// bucket verifies that every row of a bucket is what was written and is found where it is. (bbolt's own check panics in a
// goroutine of its own.)
func (v *verifier) bucket(tx *bolt.Tx, name []byte) error {
	index := slices.ContainsFunc(indexes, func(i []byte) bool { return bytes.Equal(i, name) })
	b, last := tx.Bucket(name), []byte(nil)
	return b.ForEach(func(key, row []byte) error {
		found := b.Get(key) != nil
		if !index && (last != nil && bytes.Compare(last, key) >= 0 || !found) {
			v.copy[string(name)] = true
			v.add(damage(name, key, errMisplaced))
		}
		if last = key; index && !found {
			return nil // it is not counted, so the index is made anew
		}
		if bytes.Equal(name, bucketIDs) && tx.Bucket(bucketBatches).Get(row) == nil && !v.mending[numberOf(row)] {
			v.add(damage(bucketBatches, row, errMissing))
		}
		if index {
			v.found[string(name)] += v.hash(key, row)
			return nil
		}
		if _, err := unseal(name, key, row); err != nil && !v.rebuilds(name, key) {
			v.copy[string(name)] = true
			v.add(err)
		}
		return nil
	})
}

// rebuilds reports whether a row is one of a batch that is to be rebuilt.
func (v *verifier) rebuilds(bucket, key []byte) bool {
	return v.mending[numberOf(key)] && (bytes.Equal(bucket, bucketBatches) || bytes.Equal(bucket, bucketRecipients))
}

// errMisplaced is why a row is damaged that a search does not find.
var errMisplaced = errors.New("it is not found where it is")

// errMissing is why the row of a batch is damaged that is not there, though something else of the batch is.
var errMissing = errors.New("it is missing")

func (v *verifier) hash(key, row []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(v.seed)
	_, _ = h.Write(key) // it never fails
	_, _ = h.Write([]byte{0, 1})
	_, _ = h.Write(row)
	return h.Sum64()
}

// batches compares each batch with what belongs to it.
func (v *verifier) batches(tx *bolt.Tx) error {
	recipients, trash := tx.Bucket(bucketRecipients).Cursor(), tx.Bucket(bucketTrash)
	digits, row := recipients.First()
	orphans := func(before number) {
		for ; digits != nil && numberOf(digits) < before; digits, row = recipients.Next() {
			if n := numberOf(digits); trash.Get(n.key()) == nil && !v.mending[n] {
				v.add(damage(bucketBatches, n.key(), errMissing))
			}
			v.want[string(bucketNumbers)] += v.hash(numberKeyOf(digits), nil)
		}
	}
	err := tx.Bucket(bucketBatches).ForEach(func(key, encoded []byte) error {
		n := numberOf(key)
		orphans(n)
		b, err := batchIn(key, encoded)
		if err != nil {
			b = &store.Batch{} // it is in the list already, unless its seal holds
			if !v.mending[n] {
				v.add(err)
			}
		}
		states, feedback := make(map[dlr.Status]int), store.FeedbackCounts{}
		for ; digits != nil && numberOf(digits) == n; digits, row = recipients.Next() {
			v.want[string(bucketNumbers)] += v.hash(numberKeyOf(digits), nil)
			r, err := recipientIn(digits, row)
			if err != nil {
				if !v.mending[n] {
					v.add(err)
				}
				continue
			}
			feedback.Count(r.Feedback)
			if held, reported := r.State(); reported {
				states[held.Status]++
			}
		}
		if err == nil && !v.mending[n] && (feedback != b.Feedback || named(states) != named(b.States)) {
			v.add(damage(bucketBatches, key, errCounts))
		}
		v.list(n, b)
		return nil
	})
	orphans(^number(0))
	return err
}

// named is how many recipients are in any state. What an older version wrote may count another state for a recipient, but
// as many recipients.
func named(states map[dlr.Status]int) (n int) {
	for _, count := range states {
		n += count
	}
	return n
}

// list adds what the indexes should list of a batch.
func (v *verifier) list(n number, b *store.Batch) {
	for _, e := range entriesOf(n, b) {
		v.want[string(e.bucket)] += v.hash(e.key, e.row)
	}
}

type listed struct{ bucket, key, row []byte }

// entriesOf is what the indexes list of a batch, but for its recipients.
func entriesOf(n number, b *store.Batch) []listed {
	entries := []listed{{bucketIDs, idKey(b.Key()), n.key()}}
	at := placeOf(b, n)
	for _, e := range []listed{{bucketDue, at.due, nil}, {bucketBuried, at.buried, nil}, {bucketChecks, at.check, nil}} {
		if e.key != nil {
			entries = append(entries, e)
		}
	}
	return entries
}

// numberKeyOf is the entry of bucket numbers for a key of bucket recipients.
func numberKeyOf(recipient []byte) []byte {
	n := numberOf(recipient)
	return append(numberPrefixOf(n, recipient), n.key()...)
}

func (v *verifier) wrongIndexes() (wrong []string) {
	for _, name := range indexes {
		if v.want[string(name)] != v.found[string(name)] {
			wrong = append(wrong, string(name))
		}
	}
	return wrong
}

// remakeIndexes makes indexes anew from the rows.
func remakeIndexes(tx *bolt.Tx, names []string) error {
	for _, name := range names {
		if err := tx.DeleteBucket([]byte(name)); err != nil {
			return err
		}
		if _, err := tx.CreateBucket([]byte(name)); err != nil {
			return err
		}
	}
	put := func(e listed) error {
		if !slices.Contains(names, string(e.bucket)) {
			return nil
		}
		return tx.Bucket(e.bucket).Put(e.key, e.row)
	}
	err := tx.Bucket(bucketBatches).ForEach(func(key, row []byte) error {
		b, err := batchIn(key, row)
		if err != nil {
			return err
		}
		for _, e := range entriesOf(numberOf(key), b) {
			if err := put(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return tx.Bucket(bucketRecipients).ForEach(func(key, _ []byte) error {
		return put(listed{bucketNumbers, numberKeyOf(key), nil})
	})
}
