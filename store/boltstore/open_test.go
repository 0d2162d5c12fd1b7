package boltstore

import (
	"bytes"
	"encoding/binary"
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
	"github.com/dlrloop/dlrloop/store/disk"
	"github.com/dlrloop/dlrloop/store/journal"
)

// smallSegment is a segment size that is cheap to write and to read, because each Open reads all segments.
const smallSegment = 128 << 10

// opened opens a store with small segments, unless c says otherwise. The cleanup closes it; the test may close it
// earlier.
func opened(t *testing.T, c Config) *Store {
	t.Helper()
	if c.Segment == 0 {
		c.Segment = smallSegment
	}
	s, err := Open(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// delivered returns a recipient report with the status Delivered.
func delivered(batch, number string) store.Arrival {
	raw := fmt.Appendf(nil, `{"type":"recipient_delivery_report_sms","batch_id":%q,"recipient":%q,"code":0,`+
		`"status":"Delivered","at":"2026-08-30T08:16:08.930Z"}`, batch, number)
	c, err := dlr.Parse(raw)
	if err != nil {
		panic(err)
	}
	return store.Arrival{Plan: "plan", At: noon, Entry: store.Report{Report: c.Report, Raw: raw}}
}

// filledStore returns the directory of a closed store with 200 reports.
func filledStore(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store")
	s := opened(t, Config{Path: path, Segment: 64 << 10})
	for n := range 200 {
		require.NoError(t, s.Record(t.Context(), delivered(fmt.Sprint("batch ", n%7), fmt.Sprint(447700900000+n))))
	}
	require.NoError(t, s.Close())
	return path
}

func TestReopen(t *testing.T) {
	path := filledStore(t)
	for range 3 {
		s := opened(t, Config{Path: path})
		stats, err := s.Stats(t.Context())
		require.NoError(t, err)
		require.Equal(t, 200, stats[0].Recipients)
		require.Zero(t, s.Gauges().Unfolded)
		require.NoError(t, s.Close())
	}
}

func TestOpenRequiresAPath(t *testing.T) {
	_, err := Open(t.Context(), Config{})
	require.EqualError(t, err, "open store: no path given")
}

// Other users of the machine must not read the reports.
func TestFilesAreAccessibleOnlyToTheirOwner(t *testing.T) {
	path := filledStore(t)
	require.NoError(t, filepath.Walk(path, func(path string, info os.FileInfo, err error) error {
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&0o077, path)
		return nil
	}))
}

func TestOnlyOneProcessCanOpenTheStore(t *testing.T) {
	path := filledStore(t)
	holder := startChild(t, buildChild(t, ""), "-path", path, "-idle")
	holder.await("ready")
	_, err := Open(t.Context(), Config{Path: path, LockTimeout: time.Millisecond})
	require.ErrorContains(t, err,
		"open store: "+path+" is in use by another process: only one dlrloop can have it open")
	holder.kill()

	s := opened(t, Config{Path: path})
	_, err = Open(t.Context(), Config{Path: path, LockTimeout: time.Millisecond})
	require.ErrorContains(t, err, "is in use by another process")
	require.NoError(t, s.Close())
	require.NoError(t, opened(t, Config{Path: path}).Close())
}

// Open waits up to LockTimeout for another process to release the lock.
func TestOpenWaitsForTheLock(t *testing.T) {
	path := filledStore(t)
	s := opened(t, Config{Path: path})
	second := make(chan error)
	go func() {
		s, err := Open(t.Context(), Config{Path: path, LockTimeout: time.Hour})
		if err == nil {
			err = s.Close()
		}
		second <- err
	}()
	require.NoError(t, s.Close())
	require.NoError(t, <-second)
}

func TestUnusableDatabaseIsRefused(t *testing.T) {
	path := filledStore(t)
	whole, err := os.ReadFile(filepath.Join(path, "dlrloop.db"))
	require.NoError(t, err)
	page := os.Getpagesize()
	changed := func(change func(db []byte)) []byte {
		db := bytes.Clone(whole)
		change(db)
		return db
	}
	scrambled := func(from, to int) []byte {
		return changed(func(db []byte) {
			for i := from; i < to; i++ {
				db[i] ^= 0x5a
			}
		})
	}
	const restore = "restore it from a backup together with the journal"
	const damaged = "dlrloop.db is damaged or not a dlrloop database"
	const remedy = "restore it from a backup together with the journal, or move the folder away to begin anew"
	for _, c := range []struct {
		name    string
		content []byte
		want    []string
	}{
		{"both metas of another program", scrambled(16, 20+page), []string{damaged, remedy}},
		{"both metas broken", changed(func(db []byte) { db[40] ^= 1; db[page+40] ^= 1 }), []string{damaged, remedy}},
		{"text", bytes.Repeat([]byte("no database\n"), 2000), []string{damaged, remedy}},
		{"empty", nil, []string{"dlrloop.db is damaged: it is empty", remedy}},
		{"a few bytes", whole[:100], []string{damaged, remedy}},
		{"truncated in the first meta", whole[:page/2], []string{damaged, remedy}},
		{"truncated after the first meta", whole[:page], []string{damaged, remedy}},
		{"truncated after the metas", whole[:2*page], []string{"is damaged", restore}},
		{"truncated to a quarter", whole[:len(whole)/4/page*page], []string{"is damaged", restore}},
		{
			"every page but the metas scrambled", scrambled(2*page, len(whole)),
			[]string{damaged, "it cannot be read", remedy},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(path)))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "dlrloop.db"), c.content, 0o600))
			_, err := Open(t.Context(), Config{Path: dir})
			require.Error(t, err)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

// A power loss may tear one of bbolt's two meta pages; the other is intact.
func TestDatabaseWithOneTornMetaOpens(t *testing.T) {
	path := filledStore(t)
	file := filepath.Join(path, "dlrloop.db")
	whole, err := os.ReadFile(file)
	require.NoError(t, err)
	newer := 0
	if binary.LittleEndian.Uint64(whole[os.Getpagesize()+16+48:]) > binary.LittleEndian.Uint64(whole[16+48:]) {
		newer = os.Getpagesize()
	}
	whole[newer+70] ^= 1
	require.NoError(t, os.WriteFile(file, whole, 0o600))

	s := opened(t, Config{Path: path})
	stats, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, 200, stats[0].Recipients, "the transaction of the torn meta is folded again from the journal")
	require.NoError(t, s.Close())
}

// putMeta puts a row into bucket meta of a closed store, or deletes it if row is nil.
func putMeta(t *testing.T, path string, key, row []byte) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(path, "dlrloop.db"), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		if row == nil {
			return tx.Bucket(schema.BucketMeta).Delete(key)
		}
		return tx.Bucket(schema.BucketMeta).Put(key, row)
	}))
	require.NoError(t, db.Close())
}

func TestDatabaseOfAnotherFormatIsRefused(t *testing.T) {
	for _, c := range []struct {
		name     string
		key, row []byte
		want     string
	}{
		{
			"newer", schema.KeyFormat, binary.BigEndian.AppendUint64(nil, format+1),
			"has format 6, this version reads format 5: use the version that wrote it, or a newer one",
		},
		{
			"of no format", schema.KeyFormat, binary.BigEndian.AppendUint64(nil, 0),
			"has format 0, this version reads format 5",
		},
		{"without format", schema.KeyFormat, nil, "its format is missing"},
		{"with a damaged position", schema.KeyPosition, []byte("?"), "its journal position is damaged"},
		{
			"of another journal", schema.KeyPosition, schema.Position{Seq: 200, Salt: journal.Salt{1}}.Encode(),
			"belongs to another database",
		},
		{
			"newer than the journal", schema.KeyPosition, schema.Position{Seq: 5000, Salt: journal.Salt{1}}.Encode(),
			"belongs to another database",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filledStore(t)
			putMeta(t, path, c.key, c.row)
			_, err := Open(t.Context(), Config{Path: path})
			require.ErrorContains(t, err, "open ")
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestDatabaseOfAnotherProgramIsRefused(t *testing.T) {
	path := t.TempDir()
	db, err := bolt.Open(filepath.Join(path, "dlrloop.db"), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err }))
	require.NoError(t, db.Close())
	_, err = Open(t.Context(), Config{Path: path})
	require.ErrorContains(t, err, "dlrloop.db is not a dlrloop database")
}

func TestStoreWithoutItsJournalIsRefused(t *testing.T) {
	path := filledStore(t)
	require.NoError(t, os.RemoveAll(filepath.Join(path, "journal")))
	_, err := Open(t.Context(), Config{Path: path})
	require.ErrorContains(t, err,
		"journal and database were not copied at the same time. If a segment was moved, put it back; "+
			"else "+disk.Remedy)
}

// A journal without recycled segments has all reports. If the database is missing, Open folds them again.
func TestDatabaseIsRecreatedFromTheJournal(t *testing.T) {
	path := filledStore(t)
	require.NoError(t, os.Remove(filepath.Join(path, "dlrloop.db")))
	s := opened(t, Config{Path: path})
	stats, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, 200, stats[0].Recipients)
	require.Zero(t, stats[0].Duplicates)
}

func TestUnfinishedDatabaseIsRemoved(t *testing.T) {
	path := t.TempDir()
	leftover := filepath.Join(path, "dlrloop.db.123.new")
	require.NoError(t, os.WriteFile(leftover, []byte("torn"), 0o600))
	require.NoError(t, opened(t, Config{Path: path}).Close())
	require.NoFileExists(t, leftover)
	entries, err := os.ReadDir(path)
	require.NoError(t, err)
	require.Len(t, entries, 2)
}
