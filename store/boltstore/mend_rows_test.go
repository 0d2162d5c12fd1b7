package boltstore

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// The test damages the totals' row beyond correction. Open recomputes them, whether it verifies the database or not
// (verify: -1).
func TestLostTotalsAreRecomputed(t *testing.T) {
	path := variedStore(t)
	s := opened(t, Config{Path: path, Policies: testPolicy})
	want, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Close())
	for _, verified := range []int64{0, -1} {
		copied := copied(t, path)
		editDatabase(t, copied, func(tx *bolt.Tx) error {
			meta := tx.Bucket(schema.BucketMeta)
			row := append([]byte(nil), meta.Get(schema.KeyTotals)...)
			row[20], row[30] = row[20]^3, row[30]^5
			return meta.Put(schema.KeyTotals, row)
		})
		var o failures
		s = opened(t, Config{Path: copied, Policies: testPolicy, Observer: o.observer(), verify: verified})
		got, err := s.Stats(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got)
		require.Len(t, o.damage(), 1)
		require.Contains(t, o.damage()[0], "the totals are computed again")
		require.NoError(t, s.Close())
		requireSound(t, copied)
	}
}

// The journal position is stored only once. One flipped bit in it is corrected; otherwise Open fails.
func TestLostPositionIsRefused(t *testing.T) {
	for _, verified := range []int64{0, -1} {
		for flipped, refused := range map[byte]bool{1: false, 3: true} {
			path := twoBatches(t)
			editDatabase(t, path, func(tx *bolt.Tx) error {
				meta := tx.Bucket(schema.BucketMeta)
				row := append([]byte(nil), meta.Get(schema.KeyPosition)...)
				row[len(row)-1] ^= flipped
				return meta.Put(schema.KeyPosition, row)
			})
			s, err := Open(t.Context(), Config{Path: path, Segment: smallSegment, verify: verified})
			if refused {
				require.ErrorContains(t, err, "position")
				require.ErrorContains(t, err, remedy)
				continue
			}
			require.NoError(t, err)
			require.NoError(t, s.Close())
			requireSound(t, path)
		}
	}
}

// A plan that is hashed in keys is found in the totals.
func TestBatchOfAHashedPlanIsRebuilt(t *testing.T) {
	plan, id := strings.Repeat("p", 300), "batch"
	for name, c := range map[string]struct {
		also      []byte // key of a row of bucket meta that is lost, too
		abandoned bool
	}{
		"plan known from the totals": {},
		"plan lost":                  {schema.KeyTotals, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir()
			s := opened(t, Config{Path: path})
			a := delivered(id, "447700900001")
			a.Plan = plan
			require.NoError(t, s.Record(t.Context(), a))
			require.NoError(t, s.Close())
			scramble(t, path, schema.BucketBatches, func(int) bool { return true })
			editDatabase(t, path, func(tx *bolt.Tx) error {
				if c.also == nil {
					return nil
				}
				return tx.Bucket(schema.BucketMeta).Put(c.also, []byte("{"))
			})
			var o failures
			s = opened(t, Config{Path: path, Observer: o.observer()})
			key := store.BatchKey{Plan: plan, BatchID: id}
			b, err := s.Batch(t.Context(), key)
			if !c.abandoned {
				require.NoError(t, err)
				require.Equal(t, key, b.Key())
				require.Equal(t, 1, b.Feedback.Owed)
			} else {
				require.ErrorIs(t, err, store.ErrNotFound)
				require.Contains(t, strings.Join(o.damage(), "\n"), "its plan or id is unknown")
				require.NoError(t, s.Record(t.Context(), a))
				_, err = s.Recipient(t.Context(), key, "447700900001")
				require.NoError(t, err, "a later report creates a new batch")
				_, _, err = s.DeleteOlder(t.Context(), noon, 1)
				require.NoError(t, err)
			}
			require.NoError(t, s.Close())
			requireSound(t, path)
		})
	}
}

// The fold corrects an entry of bucket ids that points to another batch, or to none.
func TestIndexEntryForAnotherBatchIsCorrected(t *testing.T) {
	path := twoBatches(t)
	var o failures
	s := opened(t, Config{Path: path, Observer: o.observer()})
	bad, good := store.BatchKey{Plan: "plan", BatchID: "bad"}, store.BatchKey{Plan: "plan", BatchID: "good"}
	for _, target := range []func(tx *bolt.Tx) []byte{
		func(tx *bolt.Tx) []byte {
			return append([]byte(nil), tx.Bucket(schema.BucketIDs).Get(schema.IDKey(good))...)
		},
		func(*bolt.Tx) []byte { return schema.Number(12345).Key() },
	} {
		require.NoError(t, s.db.Update(func(tx *bolt.Tx) error {
			return tx.Bucket(schema.BucketIDs).Put(schema.IDKey(bad), target(tx))
		}))
		require.NoError(t, s.Record(t.Context(), delivered("bad", "447700900001")))
		b, err := s.Batch(t.Context(), bad)
		require.NoError(t, err)
		require.Equal(t, "bad", b.ID)
		r, err := s.Recipient(t.Context(), bad, "447700900001")
		require.NoError(t, err)
		require.Len(t, r.Reports, 1)
	}
	require.Len(t, o.damage(), 2)
	require.NoError(t, s.Err())
	require.NoError(t, s.Close())
	requireSound(t, path)
}

// An entry of bucket due with a flipped bit points to no batch. It is corrected after a claim has read it.
func TestIndexEntryForNoBatchIsCorrected(t *testing.T) {
	path := twoBatches(t)
	var o failures
	s := opened(t, Config{Path: path, Observer: o.observer()})
	require.NoError(t, s.db.Update(func(tx *bolt.Tx) error {
		due := tx.Bucket(schema.BucketDue)
		key, _ := due.Cursor().First()
		wrong := append([]byte(nil), key...)
		wrong[len(wrong)-2] ^= 16
		require.NoError(t, due.Delete(key))
		return due.Put(wrong, nil)
	}))
	_, err := s.Claim(t.Context(), "plan", noon.AddDate(0, 0, 1), 1, 10)
	require.ErrorIs(t, err, store.ErrDamaged)
	o.awaitDamage(t, 1)
	claims, err := s.Claim(t.Context(), "plan", noon.AddDate(0, 0, 2), 1, 10)
	require.NoError(t, err)
	require.Len(t, claims, 2)
	require.NoError(t, s.Close())
	requireSound(t, path)
}

// A row with a damaged key must not be changed in place, because bbolt would then do more damage. Only Open mends it.
func TestDamagedKeyIsMendedOnlyByOpen(t *testing.T) {
	path := twoBatches(t)
	var o failures
	s := opened(t, Config{Path: path, Observer: o.observer(), verify: -1})
	bad := store.BatchKey{Plan: "plan", BatchID: "bad"}
	require.NoError(t, s.db.Update(func(tx *bolt.Tx) error {
		recipients := tx.Bucket(schema.BucketRecipients)
		key, row := recipients.Cursor().First()
		wrong, row := append([]byte(nil), key...), append([]byte(nil), row...)
		wrong[len(wrong)-1] ^= 2
		require.NoError(t, recipients.Delete(key))
		return recipients.Put(wrong, row)
	}))
	for range 3 {
		_, err := s.Recipients(t.Context(), bad, store.RecipientQuery{})
		require.ErrorIs(t, err, store.ErrDamaged)
		o.awaitDamage(t, 1)
	}
	require.Len(t, o.damage(), 1)
	require.Contains(t, o.damage()[0], isMisplaced)
	require.NoError(t, s.Close())
	s = opened(t, Config{Path: path, Observer: o.observer()})
	r, err := s.Recipient(t.Context(), bad, "447700900001")
	require.NoError(t, err)
	require.Len(t, r.Reports, 1)
	require.Contains(t, o.damage()[1], isCorrected)
	require.NoError(t, s.Close())
	requireSound(t, path)
}
