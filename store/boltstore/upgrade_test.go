package boltstore

import (
	"archive/zip"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// format1Store returns the directory of a store that the last version with format 1 wrote and did not close: batches
// with sent, dead and pending feedback, one with missing reports, a quarantined callback, and two reports that are
// only in the journal.
func format1Store(t *testing.T) string {
	t.Helper()
	z, err := zip.OpenReader(filepath.Join("testdata", "format1.zip"))
	require.NoError(t, err)
	path := t.TempDir()
	require.NoError(t, os.CopyFS(path, z))
	require.NoError(t, z.Close())
	require.EqualValues(t, 1, formatOf(t, path))
	return path
}

// formatOf returns the format of the database of a closed store.
func formatOf(t *testing.T, path string) (found uint64) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(path, "dlrloop.db"), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		found = binary.BigEndian.Uint64(tx.Bucket(schema.BucketMeta).Get(schema.KeyFormat))
		if found == 1 {
			require.Nil(t, tx.Bucket(schema.BucketFetches))
		}
		return nil
	}))
	require.NoError(t, db.Close())
	return found
}

// openUpgraded opens a store of format1Store and requires that everything is there.
func openUpgraded(t *testing.T, path string) *Store {
	t.Helper()
	ctx := t.Context()
	s := opened(t, Config{Path: path, Policies: testPolicy})
	stats, err := s.Stats(ctx)
	require.NoError(t, err)
	require.Len(t, stats, 1)
	want := store.Tally{PendingTasks: 1, DeadTasks: 1, Owed: 1, Sent: 1, Dead: 1, Missing: 2}
	require.Equal(t, want, stats[0].Feedback)
	require.Equal(t, []int{4, 5, 1}, []int{stats[0].Batches, stats[0].Recipients, stats[0].Quarantined})
	batches := make(map[string]*store.Batch)
	for _, id := range []string{"sent", "dead", "lacking", "pending"} {
		b, err := s.Batch(ctx, store.BatchKey{Plan: "plan", BatchID: id})
		require.NoError(t, err, id)
		require.Equal(t, store.FeedbackNone, b.WholeBatch)
		batches[id] = b
	}
	require.Equal(t, "order of sent", batches["sent"].Info.ClientReference)
	require.Nil(t, batches["sent"].Fetch, "no arrival since the upgrade has set it")
	require.Equal(t, "400 syntax_constraint_violation", batches["dead"].Dead.Detail)
	require.NotNil(t, batches["pending"].Task)
	require.Equal(t, map[dlr.Status]int{dlr.Dispatched: 1, dlr.Failed: 1}, batches["lacking"].States)
	r, err := s.Recipient(ctx, store.BatchKey{Plan: "plan", BatchID: "sent"}, "447700900001")
	require.NoError(t, err)
	require.Contains(t, string(r.Bodies[0]), "+447700900001")
	quarantined, err := s.Quarantine(ctx, store.Paging{})
	require.NoError(t, err)
	require.Len(t, quarantined.Items, 1)
	return s
}

// Rows of format 2 have no seals. A row gets one when it is written again.
func TestStoreOfFormat2IsUpgraded(t *testing.T) {
	z, err := zip.OpenReader(filepath.Join("testdata", "format2.zip"))
	require.NoError(t, err)
	path := t.TempDir()
	require.NoError(t, os.CopyFS(path, z))
	require.NoError(t, z.Close())
	require.EqualValues(t, 2, formatOf(t, path))
	s := opened(t, Config{Path: path, Policies: testPolicy})
	_, err = readAll(t, s)
	require.NoError(t, err)
	b, err := s.Batch(t.Context(), store.BatchKey{Plan: "plan", BatchID: "lacking"})
	require.NoError(t, err)
	require.Equal(t, map[dlr.Status]int{dlr.Dispatched: 1, dlr.Failed: 1}, b.States)
	sealed := func() (is bool) {
		require.NoError(t, s.db.View(func(tx *bolt.Tx) error {
			n, err := find(tx, b.Key())
			is = tx.Bucket(schema.BucketBatches).Get(n.Key())[0] == schema.SealMark
			return err
		}))
		return is
	}
	require.False(t, sealed())
	require.NoError(t, s.Record(t.Context(), delivered("lacking", "447700900123")))
	_, err = readAll(t, s)
	require.NoError(t, err)
	require.True(t, sealed())
	require.NoError(t, s.Close())
	require.EqualValues(t, format, formatOf(t, path))
	_, err = readAll(t, opened(t, Config{Path: path, Policies: testPolicy}))
	require.NoError(t, err)
}

func TestStoreOfFormat1IsUpgraded(t *testing.T) {
	ctx, path := t.Context(), format1Store(t)
	for range 2 {
		s := openUpgraded(t, path)
		missing, err := s.MissingReports(ctx, "plan", noon.AddDate(0, 0, 1), 10)
		require.NoError(t, err)
		require.Len(t, missing, 1)
		require.Equal(t, "lacking", missing[0].ID, "the journal has a report of it")
		require.NoError(t, s.Close())
		require.EqualValues(t, format, formatOf(t, path))
	}
	s := openUpgraded(t, path)
	now, key := noon.Add(time.Hour), store.BatchKey{Plan: "plan", BatchID: "dead"}
	requeued, err := s.Requeue(ctx, key, now)
	require.NoError(t, err)
	require.Equal(t, 1, requeued)
	wholeBatch := store.Confirmation{BatchID: "sent", WholeBatch: true}
	require.NoError(t, s.Record(ctx, store.Arrival{Plan: "plan", At: now, Entry: wholeBatch}))
	b, err := s.Batch(ctx, store.BatchKey{Plan: "plan", BatchID: "sent"})
	require.NoError(t, err)
	require.Equal(t, store.FeedbackOwed, b.WholeBatch)
	require.Equal(t, 2, b.Missing())
	require.Equal(t, &store.ReportFetch{Due: now.Add(time.Hour)}, b.Fetch, "any arrival of the batch sets it")
	claims, err := s.Claim(ctx, "plan", now.Add(time.Hour), time.Hour, 10)
	require.NoError(t, err)
	require.Len(t, claims, 3)
}

// The upgrade is one transaction. If its meta page is not on disk, the database is still in the old format.
func TestInterruptedUpgradeIsRepeated(t *testing.T) {
	path := format1Store(t)
	file := filepath.Join(path, "dlrloop.db")
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	db, err := openDatabase(file, time.Second)
	require.NoError(t, err)
	metas := 2 * db.Info().PageSize
	require.NoError(t, db.Close())
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotEqual(t, before, after)

	copy(after[:metas], before[:metas])
	require.NoError(t, os.WriteFile(file, after, 0o600))
	require.EqualValues(t, 1, formatOf(t, path))
	require.NoError(t, openUpgraded(t, path).Close())
	require.EqualValues(t, format, formatOf(t, path))
}
