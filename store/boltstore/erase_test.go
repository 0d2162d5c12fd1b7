package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// requireErased erases the number and requires that nothing of it is left.
func requireErased(t *testing.T, s *Store, path string) (done store.Erased) {
	t.Helper()
	done, err := s.Erase(t.Context(), erasedNumber)
	require.NoError(t, err)
	require.Empty(t, countTraces(t, path, [][]byte{[]byte(erasedNumber)}))
	return done
}

// Retention may be interrupted after a batch is gone from all reads and before its rows are deleted.
func TestEraseOfAHalfDeletedBatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s := opened(t, Config{Path: path})
	for i := range 2500 {
		require.NoError(t, s.Record(t.Context(), delivered("old", fmt.Sprint(447701000000+i))))
		if i == 0 {
			require.NoError(t, s.Record(t.Context(), delivered("old", erasedNumber)))
		}
	}
	claims, err := s.Claim(t.Context(), "plan", noon.AddDate(0, 0, 1), mendWait, 1)
	for ; err == nil && len(claims) > 0; claims, err = s.Claim(t.Context(), "plan", noon.AddDate(0, 0, 1), mendWait, 1) {
		require.NoError(t, s.Settle(t.Context(), "plan", noon, store.Settlement{
			BatchID: "old", Lease: claims[0].Lease, Recipients: claims[0].Recipients, Outcome: store.OutcomeAccepted,
		}))
		_, err = s.Stats(t.Context())
		require.NoError(t, err)
	}
	require.NoError(t, err)
	deleted, _, err := s.unindex(noon.AddDate(0, 0, 1), 10)
	require.NoError(t, err)
	require.Equal(t, 1, deleted)
	require.Zero(t, requireErased(t, s, path))
	_, err = readAll(t, s)
	require.NoError(t, err)
	require.NoError(t, s.db.View(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{schema.BucketTrash, schema.BucketRecipients, schema.BucketNumbers, schema.BucketLog} {
			key, _ := tx.Bucket(name).Cursor().First()
			require.Nil(t, key, "%s", name)
		}
		return nil
	}))
}

// A call that ends in the middle of a report log has counted what it has done, and the next call does the rest.
func TestEraseOfALongLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s := opened(t, Config{Path: path})
	random, reports := rand.New(rand.NewPCG(1, 1)), 0
	for i := range 300 {
		a := delivered("long", erasedNumber)
		report := a.Entry.(store.Report)
		noise := make([]byte, 3000)
		for j := range noise {
			noise[j] = byte('a' + random.IntN(26))
		}
		raw := bytes.Replace(report.Raw, []byte(`"code":0`), fmt.Appendf(nil, `"code":%d,"noise":"%s"`, i, noise), 1)
		a.Entry = parsed(t, raw)
		require.NoError(t, s.Record(t.Context(), a))
		if reports++; i%2 == 0 {
			_, err := s.Stats(t.Context())
			require.NoError(t, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	s.config.Observer.Failed = func(string, error) { calls++ }
	e := &interrupted{Context: ctx, cancel: cancel, left: 4}
	first, err := s.Erase(e, erasedNumber)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, first.Recipients)
	require.Positive(t, first.Reports)
	require.Less(t, first.Reports, reports)
	rest := requireErased(t, s, path)
	require.Equal(t, store.Erased{Recipients: 1, Reports: reports - first.Reports}, rest)
	require.Zero(t, calls, "the end of the context is not a failure")
	page, err := s.Reports(t.Context(), store.BatchKey{Plan: "plan", BatchID: "long"}, store.Paging{})
	require.NoError(t, err)
	require.Contains(t, string(page.Items[99].Raw), fmt.Sprintf(`"recipient":"%s`, store.ErasedPrefix))
}

// interrupted is a context that ends when Err was called so many times.
type interrupted struct {
	context.Context
	cancel context.CancelFunc
	left   int
}

func (i *interrupted) Err() error {
	if i.left--; i.left <= 0 {
		i.cancel()
	}
	return i.Context.Err()
}

func TestEraseWaitsForARebuild(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store")
	s := opened(t, Config{Path: path})
	require.NoError(t, s.Record(t.Context(), delivered("1", erasedNumber)))
	_, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.update(func(c *writeTx) error {
		key, _ := c.tx.Bucket(schema.BucketBatches).Cursor().First()
		return c.rebuildLater(schema.NumberOf(key))
	}))
	done, err := s.Erase(t.Context(), erasedNumber)
	require.ErrorIs(t, err, store.ErrBusy)
	require.Zero(t, done)
	require.NoError(t, s.Close()) // the next start completes the rebuild
	s = opened(t, Config{Path: path})
	require.Equal(t, store.Erased{Recipients: 1, Reports: 1}, requireErased(t, s, path))
}

// A damaged row ends Erase. It is mended or set aside, so that the next call succeeds.
func TestEraseAfterDamage(t *testing.T) {
	for _, bucket := range [][]byte{
		schema.BucketLog, schema.BucketRecipients, schema.BucketBatches, schema.BucketInbound, schema.BucketQuarantine,
		schema.BucketEvents, schema.BucketDeferred,
	} {
		t.Run(string(bucket), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store")
			s := opened(t, Config{Path: path, Policies: keepAll})
			for i := range 8 {
				require.NoError(t, s.Record(t.Context(), said(t, noon, i, erasedNumber)))
			}
			_, err := s.Stats(t.Context())
			require.NoError(t, err)
			page, err := s.Events(t.Context(), "", 100)
			require.NoError(t, err)
			_, err = s.SaveDestination(t.Context(), "app", store.DestinationChange{
				Cursor: page.Next, Put: []store.DeferredEvent{{ID: 1, Event: page.Events[0], Since: noon}},
			})
			require.NoError(t, err)
			require.NoError(t, s.update(func(c *writeTx) error {
				key, row := c.tx.Bucket(bucket).Cursor().First()
				row = bytes.Clone(row)
				row[len(row)-1] ^= 0x3c
				return c.tx.Bucket(bucket).Put(key, row)
			}))
			_, err = s.Erase(t.Context(), erasedNumber)
			require.ErrorIs(t, err, store.ErrDamaged)
			require.NotContains(t, err.Error(), erasedNumber)
			require.Eventually(t, func() bool {
				_, err = s.Erase(t.Context(), erasedNumber)
				return err == nil
			}, 10*time.Second, 20*time.Millisecond)
			requireErased(t, s, path)
			require.NoError(t, s.Close())
			s = opened(t, Config{Path: path, Policies: keepAll})
			_, err = readAll(t, s)
			require.NoError(t, err)
		})
	}
}

// A read that began before Erase keeps bbolt from using pages that were freed since.
func TestEraseWaitsForReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s := opened(t, Config{Path: path})
	// Enough room in the file, because bbolt cannot map a larger file into memory during a read.
	require.NoError(t, s.update(func(c *writeTx) error {
		b, err := c.tx.CreateBucket([]byte("other"))
		return errors.Join(err, b.Put([]byte("key"), make([]byte, 5<<20)))
	}))
	require.NoError(t, s.update(func(c *writeTx) error { return c.tx.DeleteBucket([]byte("other")) }))
	for i := range 500 {
		require.NoError(t, s.Record(t.Context(), delivered("1", fmt.Sprint(447700900001+i))))
	}
	_, err := s.Stats(t.Context())
	require.NoError(t, err)
	tx, err := s.db.Begin(false)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), mendWait/2)
	defer cancel()
	size := s.Gauges().SizeBytes
	_, err = s.Erase(ctx, erasedNumber)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	grown := s.Gauges().SizeBytes - size
	require.NoError(t, tx.Rollback())
	require.Less(t, grown, int64(2<<20))
	requireErased(t, s, path)
}

// scrubBucket reports whether the store has what Erase uses to overwrite free pages.
func scrubBucket(t *testing.T, s *Store) (exists bool) {
	t.Helper()
	require.NoError(t, s.db.View(func(tx *bolt.Tx) error {
		exists = tx.Bucket(schema.BucketScrub) != nil
		return nil
	}))
	return exists
}

// A database with many free spans of all lengths does not grow, and what an interrupted call leaves is deleted.
func TestEraseWithManyFreePages(t *testing.T) {
	skipIfShort(t)
	path := filepath.Join(memory(t), "store")
	s := opened(t, Config{Path: path})
	name, random := []byte("other"), rand.New(rand.NewPCG(1, 1))
	rows := uint64(0)
	for range 10 {
		require.NoError(t, s.update(func(c *writeTx) error {
			b, err := c.tx.CreateBucketIfNotExists(name)
			for range 500 {
				if rows++; err == nil {
					row := bytes.Repeat([]byte(erasedNumber), 10+random.IntN(1500))
					err = b.Put(binary.BigEndian.AppendUint64(nil, rows), row)
				}
			}
			return err
		}))
	}
	require.NoError(t, s.update(func(c *writeTx) error {
		for row := range rows {
			if random.IntN(5) > 0 {
				if err := c.tx.Bucket(name).Delete(binary.BigEndian.AppendUint64(nil, row+1)); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	require.NoError(t, s.update(func(c *writeTx) error { // the rest of the rows does not name the number
		b, keys := c.tx.Bucket(name), [][]byte(nil)
		err := b.ForEach(func(key, _ []byte) error { keys = append(keys, key); return nil })
		for _, key := range keys {
			if err == nil {
				err = b.Put(key, make([]byte, 1000))
			}
		}
		return err
	}))
	before := s.Gauges()
	require.Greater(t, before.FreeBytes, int64(16<<20))
	for _, end := range []func() bool{
		func() bool {
			require.NoError(t, s.Close())
			s = opened(t, Config{Path: path})
			return true
		},
		func() bool {
			_, _, err := s.DeleteOlder(t.Context(), noon, 1)
			return err == nil
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		erased := make(chan error)
		go func() {
			_, err := s.Erase(ctx, erasedNumber)
			erased <- err
		}()
		require.Eventually(t, func() bool { return scrubBucket(t, s) }, 10*time.Second, time.Millisecond)
		cancel()
		require.ErrorIs(t, <-erased, context.Canceled)
		require.True(t, scrubBucket(t, s))
		require.True(t, end())
		require.False(t, scrubBucket(t, s))
	}
	requireErased(t, s, path)
	require.False(t, scrubBucket(t, s))
	after := s.Gauges()
	require.Less(t, after.SizeBytes, before.SizeBytes+1<<20)
	require.Greater(t, after.FreeBytes, before.FreeBytes-1<<20)
}

// A crash in a commit may leave pages behind the last one of the database.
func TestEraseOverwritesTheEndOfTheFile(t *testing.T) {
	path := filledStore(t)
	file, err := os.OpenFile(filepath.Join(path, "dlrloop.db"), os.O_RDWR, 0)
	require.NoError(t, err)
	info, err := file.Stat()
	require.NoError(t, err)
	size, page := info.Size()+1<<20, int64(os.Getpagesize())
	require.NoError(t, file.Truncate(size))
	s := opened(t, Config{Path: path})
	end := int64(0)
	require.NoError(t, s.db.View(func(tx *bolt.Tx) error { end = tx.Size(); return nil }))
	for at := end; at < size-page; at += page {
		_, err = file.WriteAt([]byte(erasedNumber), at+100)
		require.NoError(t, err)
	}
	require.NoError(t, file.Close())
	require.NotEmpty(t, countTraces(t, path, [][]byte{[]byte(erasedNumber)}))
	requireErased(t, s, path)
}
