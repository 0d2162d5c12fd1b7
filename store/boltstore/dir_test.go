package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/disk"
	"github.com/dlrloop/dlrloop/store/journal"
)

// Writes to a file that was deleted or moved succeed, but the next start would not find them.
func TestStoreEndsWhenItsFilesAreMovedOrDeleted(t *testing.T) {
	segment := func(path string) string { return segmentPath(path, 1) }
	for name, change := range map[string]func(path string) error{
		"the database deleted":  func(path string) error { return os.Remove(filepath.Join(path, "dlrloop.db")) },
		"the database replaced": func(path string) error { return replaceFile(filepath.Join(path, "dlrloop.db")) },
		"the segment deleted":   func(path string) error { return os.Remove(segment(path)) },
		"the segment replaced":  func(path string) error { return replaceFile(segment(path)) },
		"the segment renamed": func(path string) error {
			return os.Rename(segment(path), segmentPath(path, 2))
		},
		"the segment truncated": func(path string) error { return os.Truncate(segment(path), 0) },
		"the segment truncated by a byte": func(path string) error {
			return os.Truncate(segment(path), 8<<20-1)
		},
		"the journal moved": func(path string) error {
			return os.Rename(filepath.Join(path, "journal"), path+" moved")
		},
		"the journal deleted": func(path string) error { return os.RemoveAll(filepath.Join(path, "journal")) },
		"the directory moved": func(path string) error { return os.Rename(path, path+" moved") },
		"all of it deleted":   os.RemoveAll,
		"the directory recreated": func(path string) error {
			return errors.Join(os.Rename(path, path+" moved"), os.Mkdir(path, 0o700))
		},
		"the directory replaced by a file": func(path string) error {
			return errors.Join(os.Rename(path, path+" moved"), os.WriteFile(path, nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := opened(t, Config{Path: filepath.Join(t.TempDir(), "store")})
			require.NoError(t, s.Record(t.Context(), delivered("batch", "447700900001")))
			s.dir.checkedAt = time.Time{} // no race: the committer is idle
			require.NoError(t, change(s.config.Path))
			require.ErrorIs(t, s.Record(t.Context(), delivered("batch", "447700900001")), store.ErrClosed)
			<-s.Done()
			const want = "was (deleted or replaced|truncated from [0-9]+ to [0-9]+ bytes) while it was in use"
			require.Regexp(t, want, s.Err().Error())
		})
	}
}

// segmentPath returns the path of a segment of the journal of the store in dir.
func segmentPath(dir string, number int) string {
	return filepath.Join(dir, "journal", fmt.Sprintf("%08d.segment", number))
}

func replaceFile(path string) error {
	content, err := os.ReadFile(path)
	return errors.Join(err, os.WriteFile(path+".copy", content, 0o600), os.Rename(path+".copy", path))
}

// The test deletes the segment in use. The database is intact, so the arrivals still in memory must be folded.
func TestAcknowledgedArrivalsAreFoldedAfterTheJournalIsDeleted(t *testing.T) {
	path := t.TempDir()
	s := opened(t, Config{Path: path})
	acknowledged := 0
	for i := 0; s.Err() == nil; i++ {
		if i == 100 {
			require.NoError(t, os.RemoveAll(filepath.Join(path, "journal")))
			s.dir.checkedAt = time.Time{}
		}
		if s.Record(t.Context(), delivered("batch", fmt.Sprint(447700900000+i))) == nil {
			acknowledged++
		}
	}
	require.NoError(t, s.Close())
	db, err := openDatabase(filepath.Join(path, "dlrloop.db"), time.Second)
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		require.Equal(t, acknowledged, tx.Bucket(schema.BucketRecipients).Stats().KeyN)
		return nil
	}))
}

// A full disk fails group after group.
func TestFullDiskIsReportedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := 0
		observer := store.Observer{Failed: func(operation string, _ error) {
			require.Equal(t, "commit", operation)
			counted++
		}}
		s := opened(t, Config{Path: t.TempDir(), Segment: 4096, Observer: observer})
		large := delivered("batch", "447700900000")
		report := large.Entry.(store.Report)
		report.Raw = append(append([]byte{}, report.Raw...), bytes.Repeat([]byte(" "), 64<<10)...)
		large.Entry = report
		// refuse records groups that need a new segment while none can be created.
		refuse := func(groups, segment int) time.Duration {
			begin := time.Now()
			blocked := segmentPath(s.config.Path, segment) + ".new" // its temporary name
			require.NoError(t, os.Mkdir(blocked, 0o700))
			defer func() { require.NoError(t, os.Remove(blocked)) }()
			for range groups {
				require.ErrorContains(t, s.Record(t.Context(), large), "create journal segment: ")
			}
			return time.Since(begin)
		}
		require.Equal(t, 90*time.Second, refuse(91, 2), "one group a second is tried")
		require.Equal(t, 2, counted, "reported at once and again after a minute")
		require.NoError(t, s.Record(t.Context(), delivered("batch", "447700900001")))
		require.Zero(t, refuse(1, 2), "the first failure after a success returns at once")
		require.Equal(t, 3, counted, "the next incident is reported")
		require.NoError(t, s.Close())
	})
}

func TestDirIsCheckedOnceASecond(t *testing.T) {
	path := t.TempDir()
	held, err := lockDir(path, 0)
	require.NoError(t, err)
	now := time.Now()
	require.NoError(t, held.check(now, &journal.Journal{}))
	require.NoError(t, os.Remove(path))
	require.NoError(t, held.check(now.Add(disk.CheckEvery-1), &journal.Journal{}))
	err = held.check(now.Add(disk.CheckEvery), &journal.Journal{})
	require.ErrorContains(t, err, path+" was deleted or replaced")
	require.ErrorContains(t, err,
		"If it was moved, put it back and start again; if it is lost, restore the folder from a backup")
	require.True(t, disk.IsFatal(err))
	require.NoError(t, held.release())
}

func TestDirLockIsExclusive(t *testing.T) {
	path := t.TempDir()
	held, err := lockDir(path, 0)
	require.NoError(t, err)
	_, err = lockDir(path, time.Millisecond)
	require.ErrorContains(t, err, path+" is in use by another process")
	require.NoError(t, held.release())
	held, err = lockDir(path, 0)
	require.NoError(t, err)
	require.NoError(t, held.release())
	_, err = lockDir(filepath.Join(path, "none"), 0)
	require.ErrorContains(t, err, "open store: ")
}

// A page of the report log ends early if its reports are large. The pages together have all reports.
func TestPageOfLargeReportsEndsEarly(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir()})
	const reports = 5
	for n := range reports {
		a := delivered("batch", fmt.Sprint(447700900000+n))
		report := a.Entry.(store.Report)
		report.Raw = append(report.Raw, bytes.Repeat([]byte(" "), 6<<20)...)
		a.Entry = report
		require.NoError(t, s.Record(t.Context(), a))
	}
	key := store.BatchKey{Plan: "plan", BatchID: "batch"}
	first, err := s.Reports(t.Context(), key, store.Paging{})
	require.NoError(t, err)
	require.Len(t, first.Items, 3)
	rest, err := s.Reports(t.Context(), key, store.Paging{Cursor: first.Next})
	require.NoError(t, err)
	require.Len(t, rest.Items, reports-3)
	require.Empty(t, rest.Next)
}
