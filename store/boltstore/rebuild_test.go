package boltstore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/backlog"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/fold"
	"github.com/dlrloop/dlrloop/store/journal"
)

// fullReport returns a full report of a batch with n recipients, all delivered.
func fullReport(t *testing.T, batch string, n int) store.Arrival {
	t.Helper()
	numbers := make([]string, n)
	for i := range numbers {
		numbers[i] = fmt.Sprint(447700000000 + i)
	}
	listed, err := json.Marshal(numbers)
	require.NoError(t, err)
	return store.Arrival{Plan: "plan", At: noon, Entry: parsed(t, fmt.Appendf(nil,
		`{"type":"delivery_report_sms","batch_id":%q,"total_message_count":%d,`+
			`"statuses":[{"code":0,"status":"Delivered","count":%d,"recipients":%s}]}`,
		batch, n, n, listed))}
}

// largeBatch returns the directory of a store with one batch of many recipients. Feedback is sent for the first sent
// of them and owed for the others.
func largeBatch(t *testing.T, many, sent int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store")
	s := opened(t, Config{Path: path, Segment: 8 << 20})
	a := fullReport(t, "batch", many)
	require.NoError(t, s.Record(t.Context(), a))
	numbers := a.Entry.(store.Report).Entries[0].Recipients
	for part := range slices.Chunk(numbers[:sent], store.MaxRecipients) {
		settled := store.Settlement{
			BatchID: "batch", Recipients: part, Outcome: store.OutcomeAccepted, Reason: store.ReasonAccepted,
		}
		require.NoError(t, s.Record(t.Context(), store.Arrival{Plan: "plan", At: noon, Entry: settled}))
	}
	_, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Close())
	return path
}

// A rebuild of many rows takes several transactions. The test copies the store after each of them, as a kill would
// leave it; Open must complete each copy.
func TestRebuildOfManyRowsContinuesAfterAKill(t *testing.T) {
	skipIfShort(t)
	const many = 26_000
	path := largeBatch(t, many, many/2)
	lost := many/3 + 1
	require.Equal(t, lost, scramble(t, path, schema.BucketRecipients, func(i int) bool { return i%3 == 0 }))

	var copies []string
	before, rows := 0, 0
	observer := store.Observer{Failed: func(operation string, err error) {
		if rows++; rows > before+rebuildStep { // the first row of a transaction that was just committed
			before = rows
			copies = append(copies, copied(t, path))
		}
	}}
	s := opened(t, Config{Path: path, Segment: 8 << 20, Observer: observer})
	require.Equal(t, lost, rows)
	want, err := s.Batch(t.Context(), store.BatchKey{Plan: "plan", BatchID: "batch"})
	require.NoError(t, err)
	again := many/2/3 + 1 // recipients of which it is unknown that their feedback was sent
	require.Equal(t, store.FeedbackCounts{Owed: many/2 + again, Sent: many/2 - again}, want.Feedback)
	require.Equal(t, map[dlr.Status]int{dlr.Delivered: many}, want.States)
	require.NoError(t, s.Close())

	require.NotEmpty(t, copies)
	for _, cut := range copies {
		s := opened(t, Config{Path: cut, Segment: 8 << 20})
		got, err := s.Batch(t.Context(), want.Key())
		require.NoError(t, err)
		require.Equal(t, want, got)
		stats, err := s.Stats(t.Context())
		require.NoError(t, err)
		require.Equal(t, want.Tally(), stats[0].Feedback)
		require.Equal(t, many, stats[0].Messages[0].Messages)
		require.NoError(t, s.Close())
		requireSound(t, cut)
	}
}

// The memory of a rebuild must not grow with the number of rows.
func TestMemoryOfARebuildIsBounded(t *testing.T) {
	skipIfShort(t)
	path := largeBatch(t, 100_000, 0)
	s := opened(t, Config{Path: path, Segment: 8 << 20, verify: -1})
	key := store.BatchKey{Plan: "plan", BatchID: "batch"}
	b, err := s.Batch(t.Context(), key)
	require.NoError(t, err)
	require.NoError(t, s.db.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket(schema.BucketRecipients) }))
	require.NoError(t, s.db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket(schema.BucketRecipients)
		return err
	}))
	n := schema.Number(0)
	require.NoError(t, s.db.View(func(tx *bolt.Tx) (err error) { n, err = find(tx, key); return err }))
	require.NoError(t, s.update(func(tx *writeTx) error { return tx.rebuildLater(n) }))
	done, most := make(chan error), uint64(0)
	go func() { done <- s.rebuildAll(backlog.Work{}) }()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	first := m.HeapAlloc
	for ended := false; !ended; {
		select {
		case err := <-done:
			require.NoError(t, err)
			ended = true
		case <-time.After(50 * time.Millisecond):
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	t.Logf("heap: %d MiB before, %d MiB at most", first>>20, most>>20)
	require.Less(t, most, first+(64<<20))
	after, err := s.Batch(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, b, after)
}

// The rebuild applies only the folded part of a report. The fold counts the rest later.
func TestPartlyFoldedReportIsRebuiltInPart(t *testing.T) {
	skipIfShort(t)
	for _, bucket := range [][]byte{schema.BucketBatches, schema.BucketRecipients} {
		t.Run(string(bucket), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store")
			var messages int
			observer := store.Observer{Folded: func(all []store.Changes) {
				for _, c := range all {
					for _, applied := range c.Applied {
						messages += applied.Messages
					}
				}
			}}
			s := opened(t, Config{Path: path, Segment: 8 << 20})
			require.NoError(t, s.Record(t.Context(), delivered("batch", "447700000000")))
			_, err := s.Stats(t.Context())
			require.NoError(t, err)
			require.NoError(t, s.Close())
			begun := copied(t, path)
			s = opened(t, Config{Path: path, Segment: 8 << 20})
			require.NoError(t, s.Record(t.Context(), fullReport(t, "batch", 5000)))
			require.NoError(t, s.Close())
			database, err := os.ReadFile(filepath.Join(begun, "dlrloop.db"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(path, "dlrloop.db"), database, 0o600))

			// Fold 2000 of its recipients, damage the rows, and fold the rest.
			foldInPart(t, path, observer, 2000)
			require.Equal(t, 1999, messages, "one of the 2000 was counted before")
			if bytes.Equal(bucket, schema.BucketBatches) {
				scramble(t, path, bucket, func(int) bool { return true })
			} else {
				scramble(t, path, bucket, func(i int) bool { return i%2 == 1 })
			}
			var o failures
			watching := o.observer()
			watching.Folded = observer.Folded
			s = opened(t, Config{Path: path, Segment: 8 << 20, Observer: watching})
			require.Equal(t, 4999, messages, "each message is counted once")
			b, err := s.Batch(t.Context(), store.BatchKey{Plan: "plan", BatchID: "batch"})
			require.NoError(t, err)
			require.Equal(t, map[dlr.Status]int{dlr.Delivered: 5000}, b.States)
			require.Equal(t, store.FeedbackCounts{Owed: 5000}, b.Feedback)
			require.Equal(t, []store.Reported{{Status: dlr.Delivered, Code: 0, Named: 5000, Claimed: 5000}}, b.Reported)
			require.Zero(t, b.Reports[0].Folded)
			require.NotEmpty(t, o.damage())
			require.NoError(t, s.Close())
			requireSound(t, path)
		})
	}
}

// foldInPart folds so many recipients of the first arrival in the journal of a closed store, and leaves the store as a
// kill would.
func foldInPart(t *testing.T, path string, o store.Observer, recipients int) {
	t.Helper()
	parted := filepath.Join(t.TempDir(), "store")
	require.NoError(t, os.CopyFS(parted, os.DirFS(path)))
	db, err := openDatabase(filepath.Join(parted, "dlrloop.db"), time.Second)
	require.NoError(t, err)
	c := Config{Path: parted, Segment: 8 << 20, Observer: o}.withDefaults()
	s := &Store{config: c, db: db, measured: backlog.NewMeasured(), failed: make(chan struct{})}
	s.backlog = backlog.New(s.config.BacklogBytes, s.readBack)
	s.leases.held = make(map[schema.Number]lease)
	s.compressor, err = schema.NewCompressor()
	require.NoError(t, err)
	s.decoder, err = schema.NewDecompressor()
	require.NoError(t, err)
	folded, err := s.load()
	require.NoError(t, err)
	var tail []journal.Ref
	s.journal, tail, err = journal.Open(filepath.Join(parted, "journal"), folded.InJournal(), s.config.journal())
	require.NoError(t, err)
	require.Len(t, tail, 1)
	s.backlog.Resume(tail, folded.Within)
	w, err := s.backlog.Take(backlog.Room{Rows: recipients + 1, Bytes: 1 << 30, Row: 1, Frames: 1 << 30})
	require.NoError(t, err)
	require.Equal(t, recipients, w.To.Within.Recipients)
	require.NoError(t, s.foldStep(w))
	require.NoError(t, db.Close())
	database, err := os.ReadFile(filepath.Join(parted, "dlrloop.db"))
	require.NoError(t, err)
	require.NoError(t, s.journal.Close())
	require.NoError(t, os.WriteFile(filepath.Join(path, "dlrloop.db"), database, 0o600))
}

// Retention may delete a batch between two transactions of its rebuild.
func TestRetentionDuringARebuild(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	var s *Store
	expired := 0
	off := func(string) store.Policy { return store.Policy{On: store.OnOff} }
	c := Config{Path: path, Segment: 8 << 20, Policies: off}
	c.Observer.Failed = func(string, error) {
		if expired == 0 {
			expired, _, _ = s.DeleteOlder(t.Context(), noon.AddDate(1, 0, 0), 10)
		}
	}
	s = opened(t, c)
	key := store.BatchKey{Plan: "plan", BatchID: "batch"}
	require.NoError(t, s.Record(t.Context(), fullReport(t, "batch", 3*rebuildStep)))
	_, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.update(func(tx *writeTx) error {
		n, err := find(tx.tx, key)
		require.NoError(t, err)
		for _, name := range [][]byte{schema.BucketRecipients, schema.BucketNumbers} {
			require.NoError(t, tx.tx.DeleteBucket(name))
			_, err = tx.tx.CreateBucket(name)
			require.NoError(t, err)
		}
		return tx.rebuildLater(n)
	}))
	require.NoError(t, s.rebuildAll(backlog.Work{}))
	require.Equal(t, 1, expired)
	_, err = s.Batch(t.Context(), key)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.NoError(t, s.Close())
	requireSound(t, path)
}

// After a kill during settle, some recipients already have the decided feedback state, which changes the batch's
// counts. The remaining recipients must get the stored decision.
func TestFeedbackDecisionOfARebuildSurvivesAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s := opened(t, Config{Path: path})
	a := fullReport(t, "batch", 4)
	require.NoError(t, s.Record(t.Context(), a))
	require.NoError(t, s.Record(t.Context(), store.Arrival{Plan: "plan", At: noon, Entry: store.Settlement{
		BatchID: "batch", Recipients: a.Entry.(store.Report).Entries[0].Recipients[:2],
		Outcome: store.OutcomeAccepted, Reason: store.ReasonAccepted,
	}}))
	require.NoError(t, s.Close())
	editDatabase(t, path, func(tx *bolt.Tx) error {
		n, _ := tx.Bucket(schema.BucketBatches).Cursor().First()
		mending, err := tx.CreateBucket(schema.BucketMending)
		require.NoError(t, err)
		verdict := append(schema.Unsealed(2), 1, byte(store.FeedbackOwed))
		require.NoError(t, mending.Put(n, schema.Seal(schema.BucketMending, n, verdict)))
		c := tx.Bucket(schema.BucketRecipients).Cursor()
		rows := make(map[string][]byte)
		for key, row := c.First(); key != nil; key, row = c.Next() {
			r, err := schema.DecodeRecipient(key, row)
			require.NoError(t, err)
			if r.Feedback = store.FeedbackOwed; len(rows) == 3 {
				r.Feedback = fold.FeedbackUnsettled
			}
			rows[string(key)] = schema.SealRecipient(key, &r)
		}
		for key, row := range rows {
			require.NoError(t, tx.Bucket(schema.BucketRecipients).Put([]byte(key), row))
		}
		return nil
	})
	s = opened(t, Config{Path: path})
	b, err := s.Batch(t.Context(), store.BatchKey{Plan: "plan", BatchID: "batch"})
	require.NoError(t, err)
	require.Equal(t, store.FeedbackCounts{Owed: 4}, b.Feedback)
	require.NoError(t, s.Close())
	requireSound(t, path)
}
