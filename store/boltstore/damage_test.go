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
)

// damaged is the folder of a store with two batches and a quarantined callback, in which the first row of a bucket is not
// what this version wrote.
func damaged(t *testing.T, bucket, row []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store")
	s := opened(t, Config{Path: path})
	require.NoError(t, s.Record(t.Context(), delivered("bad", "447700900001")))
	_, err := s.Stats(t.Context()) // the first batch is the first in every bucket
	require.NoError(t, err)
	require.NoError(t, s.Record(t.Context(), delivered("good", "447700900002")))
	require.NoError(t, s.Record(t.Context(), store.Arrival{Plan: "plan", At: noon, News: store.Quarantined{Reason: dlr.NotJSON, Raw: []byte("?")}}))
	require.NoError(t, s.Close())
	db, err := bolt.Open(filepath.Join(path, "dlrloop.db"), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		key, _ := tx.Bucket(bucket).Cursor().First()
		return tx.Bucket(bucket).Put(key, row)
	}))
	require.NoError(t, db.Close())
	return path
}

// A damaged row is an error wherever it is read, and nowhere else.
func TestDamagedRowIsAnError(t *testing.T) {
	bad, good := store.BatchKey{Plan: "plan", BatchID: "bad"}, store.BatchKey{Plan: "plan", BatchID: "good"}
	for _, c := range []struct {
		bucket []byte
		says   string
		reads  func(s *Store, key store.BatchKey) error
	}{
		{bucketBatches, "batch: row has format 9", func(s *Store, key store.BatchKey) error {
			_, err := s.Batch(t.Context(), key)
			return err
		}},
		{bucketRecipients, "recipient: row has format 9", func(s *Store, key store.BatchKey) error {
			_, err := s.Recipients(t.Context(), key, store.RecipientQuery{})
			return err
		}},
		{bucketRecipients, "recipient: row has format 9", func(s *Store, key store.BatchKey) error {
			_, err := s.RecipientBatches(t.Context(), map[store.BatchKey]string{bad: "447700900001", good: "447700900002"}[key], store.Paging{})
			return err
		}},
		{bucketLog, "report log: ", func(s *Store, key store.BatchKey) error {
			_, err := s.Reports(t.Context(), key, store.Paging{})
			return err
		}},
		{bucketLog, "report log: ", func(s *Store, key store.BatchKey) error {
			_, err := s.Recipient(t.Context(), key, map[store.BatchKey]string{bad: "447700900001", good: "447700900002"}[key])
			return err
		}},
	} {
		s := opened(t, Config{Path: damaged(t, c.bucket, []byte{9, 0})})
		require.ErrorContains(t, c.reads(s, bad), c.says)
		require.NoError(t, c.reads(s, good))
		require.NoError(t, s.Ready(t.Context()))
	}
	s := opened(t, Config{Path: damaged(t, bucketQuarantine, []byte{9})})
	_, err := s.Quarantine(t.Context(), store.Paging{})
	require.ErrorContains(t, err, "quarantine: row has format 9")
	s = opened(t, Config{Path: damaged(t, bucketBatches, []byte{9})})
	for _, read := range []func() error{
		func() error { _, err := s.Batches(t.Context(), store.BatchQuery{}); return err },
		func() error { _, err := s.Tasks(t.Context(), store.TaskQuery{}); return err },
		func() error { _, err := s.Claim(t.Context(), "plan", noon.Add(time.Hour), time.Hour, 9); return err },
		func() error { _, _, err := s.Expire(t.Context(), noon.AddDate(1, 0, 0), 9); return err },
	} {
		require.ErrorContains(t, read(), "batch: row has format 9")
	}
	require.NoError(t, s.Err(), "reading it ends nothing")
}

func TestDamagedRowOfAnOverdueBatchIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s := opened(t, Config{Path: path, Policies: asking})
	require.NoError(t, s.Record(t.Context(), store.Arrival{Plan: "plan", At: noon, News: store.Facts{BatchID: "bad", ReportKind: "full", Recipients: 1}}))
	require.NoError(t, s.Close())
	db, err := bolt.Open(filepath.Join(path, "dlrloop.db"), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		key, _ := tx.Bucket(bucketBatches).Cursor().First()
		return tx.Bucket(bucketBatches).Put(key, []byte{9})
	}))
	require.NoError(t, db.Close())
	s = opened(t, Config{Path: path, Policies: asking})
	_, err = s.Overdue(t.Context(), "plan", noon.Add(time.Hour), 1)
	require.ErrorContains(t, err, "batch: row has format 9")
	_, err = s.Overdue(t.Context(), "plan", noon, 1)
	require.NoError(t, err, "it is not due")
}

// What cannot be folded stays in the journal: the store ends, and refuses to start, rather than drop a report.
func TestReportForADamagedBatchEndsTheStore(t *testing.T) {
	for bucket, says := range map[string]string{"batches": "batch: row has format 9", "recipients": "recipient: row has format 9"} {
		path := damaged(t, []byte(bucket), []byte{9})
		s := opened(t, Config{Path: path})
		require.NoError(t, s.Record(t.Context(), delivered("bad", "447700900001")), "it is kept")
		<-s.Done()
		require.ErrorContains(t, s.Err(), says)
		require.NoError(t, s.Close())
		_, err := Open(t.Context(), Config{Path: path})
		require.ErrorContains(t, err, "fold the journal: ")
		require.ErrorContains(t, err, says)
	}
}

// Damage that makes bbolt panic ends the store like any other: it says so, and Close comes to its end.
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

	require.NoError(t, s.Record(t.Context(), delivered("batch", "447700900999")), "it is in the journal")
	<-s.Done()
	require.ErrorContains(t, s.Err(), "it cannot be read: ")
	require.NoError(t, s.Close())
}

// Every frame is folded once, in its order, whatever the memory of a process says.
func TestFrameOutOfOrderIsNotFolded(t *testing.T) {
	for _, seq := range []uint64{1, 3} {
		s := opened(t, Config{Path: t.TempDir()})
		require.NoError(t, s.Record(t.Context(), delivered("batch", "447700900001")))
		_, err := s.Stats(t.Context())
		require.NoError(t, err)
		s.backlog.add(placed{seq: seq, arrivals: 1}, []store.Arrival{delivered("batch", "447700900002")}, 0)
		<-s.Done()
		require.ErrorContains(t, s.Err(), "does not follow frame 1")
	}
}
