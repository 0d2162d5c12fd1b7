package schema

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store/journal"
)

func TestPositionRoundTrip(t *testing.T) {
	whole := Position{Seq: 7, Salt: journal.Salt{1}}
	require.Len(t, whole.Encode(), 16, "same length as in older versions")
	for _, p := range []Position{
		whole, {Seq: 7, Salt: journal.Salt{2}, Within: Progress{3, 2000}, ends: 9}, {Seq: 8, Salt: journal.Salt{3}, ends: 9},
	} {
		db, err := bolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, nil)
		require.NoError(t, err)
		tx, err := db.Begin(true)
		require.NoError(t, err)
		_, err = tx.CreateBucket(BucketMeta)
		require.NoError(t, err)
		require.NoError(t, tx.Bucket(BucketMeta).Put(KeyPosition, p.Encode()))
		read, err := ReadPosition(tx)
		require.NoError(t, err)
		require.Equal(t, p, read)
		require.NoError(t, tx.Rollback())
		require.NoError(t, db.Close())
	}
}

// Each step writes larger chunk numbers than the last, even if it begins in the same frame.
func TestStepsHaveRisingChunkNumbers(t *testing.T) {
	p, last := Position{}, uint64(0)
	for _, to := range []Position{
		{Within: Progress{0, 1000}},
		{Within: Progress{0, 2000}},
		{Seq: 1},
		{Seq: 1, Within: Progress{2, 0}},
		{Seq: 3},
		{Seq: 4},
		{Seq: 4, Within: Progress{0, 1000}},
		{Seq: 9},
	} {
		require.Greater(t, p.Chunk(), last)
		last = p.Chunk()
		p = p.Advance(to, journal.Salt{1})
	}
	require.Greater(t, p.Chunk(), last)
}
