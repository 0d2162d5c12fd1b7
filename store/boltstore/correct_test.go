package boltstore

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// sealedBuckets are the buckets whose rows are sealed.
var sealedBuckets = [][]byte{
	schema.BucketMeta, schema.BucketBatches, schema.BucketRecipients, schema.BucketLog, schema.BucketMinutes,
	schema.BucketQuarantine, schema.BucketInbound, schema.BucketEvents, schema.BucketDestinations, schema.BucketDeferred,
}

// sealedRow is a copy of a row.
type sealedRow struct{ bucket, key, row []byte }

// sealedRows returns up to most rows of each bucket with sealed rows.
func sealedRows(t *testing.T, path string, most int) (rows []sealedRow) {
	t.Helper()
	editDatabase(t, path, func(tx *bolt.Tx) error {
		for _, name := range sealedBuckets {
			left := most
			err := tx.Bucket(name).ForEach(func(key, row []byte) error {
				if left > 0 && row[0] == schema.SealMark {
					rows = append(rows, sealedRow{name, bytes.Clone(key), bytes.Clone(row)})
					left--
				}
				return nil
			})
			require.NoError(t, err)
			require.Less(t, left, most, "no row in %s", name)
		}
		return nil
	})
	return rows
}

// editDatabase runs edit on the database of a store that is not open.
func editDatabase(t *testing.T, path string, edit func(tx *bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(path, "dlrloop.db"), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(edit))
	require.NoError(t, db.Close())
}

// flip returns the row with the given bits flipped. Bits are counted from the start of the key and continue in the
// row.
func (r sealedRow) flip(flipped ...int) sealedRow {
	both := append(bytes.Clone(r.key), r.row...)
	for _, bit := range flipped {
		both[bit/8] ^= 1 << (bit % 8)
	}
	return sealedRow{r.bucket, both[:len(r.key):len(r.key)], both[len(r.key):]}
}

func TestEveryFlippedBitOfARowIsCorrected(t *testing.T) {
	path := variedStore(t)
	rows := sealedRows(t, path, 3)
	s := opened(t, Config{Path: path, Policies: testPolicy})
	for _, r := range rows {
		for bit := range 8 * (len(r.key) + len(r.row)) {
			f := r.flip(bit)
			require.Error(t, schema.Sound(s.decoder, r.bucket, f.key, f.row), "bit %d of %x in %s", bit, r.key, r.bucket)
			key, row, ok := schema.Correct(r.bucket, f.key, f.row)
			require.True(t, ok, "bit %d of %x in %s", bit, r.key, r.bucket)
			require.Equal(t, sealedRow{r.bucket, key, row}, r)
			require.NoError(t, schema.Sound(s.decoder, r.bucket, key, row))
		}
	}
}

func TestTwoFlippedBitsAreNotCorrected(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, r := range sealedRows(t, variedStore(t), 2) {
		n := 8 * (len(r.key) + len(r.row))
		for range 2000 {
			first, second := random.IntN(n), random.IntN(n)
			if first == second {
				continue
			}
			f := r.flip(first, second)
			_, _, ok := schema.Correct(r.bucket, f.key, f.row)
			require.False(t, ok, "bits %d and %d of %x in %s", first, second, r.key, r.bucket)
		}
	}
}

func TestUndamagedRowIsNotCorrected(t *testing.T) {
	for _, r := range sealedRows(t, variedStore(t), 2) {
		_, _, ok := schema.Correct(r.bucket, r.key, r.row)
		require.False(t, ok)
	}
	_, _, ok := schema.Correct(schema.BucketMinutes, []byte("key"), []byte{1})
	require.False(t, ok)
	_, _, ok = schema.Correct(schema.BucketMinutes, nil, nil)
	require.False(t, ok)
}
