package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// Somebody deletes or moves what is in use: writes go on to succeed, and no start would find them.
func TestStoreEndsWhenItIsNoLongerThere(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"the database deleted":  func(path string) error { return os.Remove(filepath.Join(path, "dlrloop.db")) },
		"the database replaced": func(path string) error { return replaceFile(filepath.Join(path, "dlrloop.db")) },
		"the folder moved":      func(path string) error { return os.Rename(path, path+" moved") },
		"all of it deleted":     os.RemoveAll,
		"the folder made anew":  func(path string) error { return errors.Join(os.Rename(path, path+" moved"), os.Mkdir(path, 0o700)) },
		"the folder hidden away": func(path string) error {
			return errors.Join(os.Rename(path, path+" moved"), os.WriteFile(path, nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := opened(t, Config{Path: filepath.Join(t.TempDir(), "store")})
			require.NoError(t, change(s.config.Path))
			require.ErrorIs(t, s.Record(t.Context(), delivered("batch", "447700900001")), store.ErrClosed)
			<-s.Done()
			require.ErrorContains(t, s.Err(), "was deleted or replaced while it was in use")
		})
	}
}

func replaceFile(path string) error {
	content, err := os.ReadFile(path)
	return errors.Join(err, os.WriteFile(path+".copy", content, 0o600), os.Rename(path+".copy", path))
}

func TestFolderIsLookedAtOnceASecond(t *testing.T) {
	path := t.TempDir()
	held, err := holdFolder(path, 0)
	require.NoError(t, err)
	now := time.Now()
	require.NoError(t, held.check(now))
	require.NoError(t, os.Remove(path))
	require.NoError(t, held.check(now.Add(checkEvery-1)))
	err = held.check(now.Add(checkEvery))
	require.ErrorContains(t, err, path+" was deleted or replaced")
	require.True(t, ends(err))
	require.NoError(t, held.release())
}

func TestFolderIsHeldByOne(t *testing.T) {
	path := t.TempDir()
	held, err := holdFolder(path, 0)
	require.NoError(t, err)
	_, err = holdFolder(path, time.Millisecond)
	require.ErrorContains(t, err, path+" is in use by another process")
	require.NoError(t, held.release())
	held, err = holdFolder(path, 0)
	require.NoError(t, err)
	require.NoError(t, held.release())
	_, err = holdFolder(filepath.Join(path, "none"), 0)
	require.ErrorContains(t, err, "open store: ")
}

// Each try to make a segment fills what is left of a disk that is full.
func TestFullDiskIsTriedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal(t, smallJournal)
		full := &os.PathError{Op: "write", Path: "segment", Err: syscall.ENOSPC}
		j.failed, j.why = time.Now(), full
		_, _, err := j.append(append(beginFrame(nil), "report"...), 1)
		require.ErrorIs(t, err, full)
		require.False(t, ends(err))
		time.Sleep(createEvery)
		require.Equal(t, uint64(1), appendTo(t, j, 100))
	})
}

// A page of the report log ends early when its reports are large, and loses none.
func TestPagesOfLargeReportsEndEarly(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir()})
	const reports = 5
	for n := range reports {
		a := delivered("batch", fmt.Sprint(447700900000+n))
		news := a.News.(store.Report)
		news.Raw = append(news.Raw, bytes.Repeat([]byte(" "), 6<<20)...)
		a.News = news
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
