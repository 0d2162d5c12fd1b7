package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/journal"
)

// twoBatches returns the directory of a store with two batches, "bad" and "good", and a quarantined callback. The rows
// of "bad" come first in every bucket.
func twoBatches(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store")
	s := opened(t, Config{Path: path})
	require.NoError(t, s.Record(t.Context(), delivered("bad", "447700900001")))
	_, err := s.Stats(t.Context()) // waits for the fold
	require.NoError(t, err)
	require.NoError(t, s.Record(t.Context(), delivered("good", "447700900002")))
	quarantined := store.Quarantined{Reason: dlr.NotJSON, Raw: []byte("?")}
	require.NoError(t, s.Record(t.Context(), store.Arrival{Plan: "plan", At: noon, Entry: quarantined}))
	require.NoError(t, s.Close())
	return path
}

// overwriteFirst overwrites the first row of a bucket.
func overwriteFirst(t *testing.T, db *bolt.DB, bucket, row []byte) {
	t.Helper()
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		key, _ := tx.Bucket(bucket).Cursor().First()
		return tx.Bucket(bucket).Put(key, row)
	}))
}

// A read of a damaged row fails; other reads do not. After the row is mended, the read succeeds.
func TestDamagedRowIsAnErrorUntilItIsMended(t *testing.T) {
	bad, good := store.BatchKey{Plan: "plan", BatchID: "bad"}, store.BatchKey{Plan: "plan", BatchID: "good"}
	numbers := map[store.BatchKey]string{bad: "447700900001", good: "447700900002"}
	batches := func(read func(s *Store) error) func(*Store, store.BatchKey) error {
		return func(s *Store, key store.BatchKey) error {
			if key == good {
				return nil
			}
			return read(s)
		}
	}
	for name, c := range map[string]struct {
		bucket []byte
		says   string
		reads  func(s *Store, key store.BatchKey) error
	}{
		"batch": {schema.BucketBatches, "batch: row has format 9", func(s *Store, key store.BatchKey) error {
			_, err := s.Batch(t.Context(), key)
			return err
		}},
		"recipients": {schema.BucketRecipients, "recipient: row has format 9", func(s *Store, key store.BatchKey) error {
			_, err := s.Recipients(t.Context(), key, store.RecipientQuery{})
			return err
		}},
		"number": {schema.BucketRecipients, "recipient: row has format 9", func(s *Store, key store.BatchKey) error {
			_, err := s.RecipientBatches(t.Context(), numbers[key], store.Paging{})
			return err
		}},
		"log": {schema.BucketLog, "report log: ", func(s *Store, key store.BatchKey) error {
			_, err := s.Reports(t.Context(), key, store.Paging{})
			return err
		}},
		"recipient": {schema.BucketLog, "report log: ", func(s *Store, key store.BatchKey) error {
			_, err := s.Recipient(t.Context(), key, numbers[key])
			return err
		}},
		"quarantine": {schema.BucketQuarantine, "quarantine: row has format 9", batches(func(s *Store) error {
			_, err := s.Quarantine(t.Context(), store.Paging{})
			return err
		})},
		"batches": {schema.BucketBatches, "batch: row has format 9", batches(func(s *Store) error {
			_, err := s.Batches(t.Context(), store.BatchQuery{})
			return err
		})},
		"tasks": {schema.BucketBatches, "batch: row has format 9", batches(func(s *Store) error {
			_, err := s.Tasks(t.Context(), store.TaskQuery{})
			return err
		})},
		"claim": {schema.BucketBatches, "batch: row has format 9", batches(func(s *Store) error {
			_, err := s.Claim(t.Context(), "plan", noon.Add(time.Hour), time.Hour, 9)
			return err
		})},
		"expire": {schema.BucketBatches, "batch: row has format 9", batches(func(s *Store) error {
			_, _, err := s.DeleteOlder(t.Context(), noon.AddDate(1, 0, 0), 9)
			return err
		})},
	} {
		t.Run(name, func(t *testing.T) {
			o := new(failures)
			s := opened(t, Config{Path: twoBatches(t), Observer: o.observer()})
			overwriteFirst(t, s.db, c.bucket, []byte{9, 0})
			require.ErrorContains(t, c.reads(s, bad), c.says)
			require.NoError(t, c.reads(s, good))
			o.awaitDamage(t, 1)
			require.NoError(t, c.reads(s, bad))
			require.NoError(t, s.Ready(t.Context()))
			require.NoError(t, s.Err(), "a damaged row does not end the store")
			require.Len(t, o.damage(), 1, "the damage is reported once")
		})
	}
}

// TestDamagedRowLeavesNoLeases claims two tasks of which the second has a damaged row: neither may stay leased.
func TestDamagedRowLeavesNoLeases(t *testing.T) {
	o := new(failures)
	s := opened(t, Config{Path: filepath.Join(t.TempDir(), "store"), Observer: o.observer()})
	info := func(id string) store.Entry { return store.BatchInfo{BatchID: id, FeedbackEnabled: true} }
	for i, n := range []store.Entry{
		info("bad"), info("good"), delivered("good", "447700900001").Entry, delivered("bad", "447700900001").Entry,
	} {
		a := store.Arrival{Plan: "plan", At: noon.Add(time.Duration(i) * time.Minute), Entry: n}
		require.NoError(t, s.Record(t.Context(), a))
		_, err := s.Stats(t.Context()) // waits for the fold
		require.NoError(t, err)
	}
	overwriteFirst(t, s.db, schema.BucketBatches, []byte{9})
	claims, err := s.Claim(t.Context(), "plan", noon.Add(time.Hour), time.Hour, 9)
	require.ErrorContains(t, err, "batch: row has format 9")
	require.Empty(t, claims)
	o.awaitDamage(t, 1)
	claims, err = s.Claim(t.Context(), "plan", noon.Add(time.Hour), time.Hour, 9)
	require.NoError(t, err)
	require.NotEmpty(t, claims)
	require.Equal(t, "good", claims[0].Key.BatchID)
}

func TestDamagedRowOfABatchWithMissingReportsIsAnErrorUntilItIsMended(t *testing.T) {
	path, o := filepath.Join(t.TempDir(), "store"), new(failures)
	s := opened(t, Config{Path: path, Policies: testPolicy, Observer: o.observer()})
	info := store.BatchInfo{BatchID: "bad", ReportKind: "full", Recipients: 1}
	require.NoError(t, s.Record(t.Context(), store.Arrival{Plan: "plan", At: noon, Entry: info}))
	_, err := s.Stats(t.Context())
	require.NoError(t, err)
	overwriteFirst(t, s.db, schema.BucketBatches, []byte{9})
	_, err = s.MissingReports(t.Context(), "plan", noon, 1)
	require.NoError(t, err, "the damaged batch is not due, so it is not read")
	_, err = s.MissingReports(t.Context(), "plan", noon.Add(time.Hour), 1)
	require.ErrorContains(t, err, "batch: row has format 9")
	o.awaitDamage(t, 1)
	_, err = s.MissingReports(t.Context(), "plan", noon.Add(time.Hour), 1)
	require.NoError(t, err)
}

// Pages that make bbolt panic end the store with an error, and Close still returns.
func TestDamagedPagesEndTheStore(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir()})
	for n := range 300 {
		require.NoError(t, s.Record(t.Context(), delivered(fmt.Sprint(n), fmt.Sprint(447700900000+n))))
	}
	_, err := s.Stats(t.Context())
	require.NoError(t, err)
	file, err := os.OpenFile(s.db.Path(), os.O_RDWR, 0)
	require.NoError(t, err)
	info, err := file.Stat()
	require.NoError(t, err)
	page := int64(os.Getpagesize())
	_, err = file.WriteAt(bytes.Repeat([]byte{0x5a}, int(info.Size()-2*page)), 2*page)
	require.NoError(t, errors.Join(err, file.Close()))

	require.NoError(t, s.Record(t.Context(), delivered("batch", "447700900999")), "the journal is undamaged")
	<-s.Done()
	require.ErrorContains(t, s.Err(), "it cannot be read: ")
	require.NoError(t, s.Close())
}

// The database's position decides which frame is next, so that no frame is folded twice or skipped.
func TestFrameOutOfOrderIsNotFolded(t *testing.T) {
	for _, seq := range []uint64{1, 3} {
		s := opened(t, Config{Path: t.TempDir()})
		require.NoError(t, s.Record(t.Context(), delivered("batch", "447700900001")))
		_, err := s.Stats(t.Context())
		require.NoError(t, err)
		s.backlog.Add(journal.Ref{Seq: seq, Arrivals: 1}, []store.Arrival{delivered("batch", "447700900002")}, 0)
		<-s.Done()
		require.ErrorContains(t, s.Err(), "does not follow frame 1")
	}
}
