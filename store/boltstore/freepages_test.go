package boltstore

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
)

// freeOf returns the free pages as pageFile reads them, and requires that bbolt's API agrees.
func freeOf(t *testing.T, db *bolt.DB) freePages {
	t.Helper()
	file, err := os.Open(db.Path())
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	tx, err := db.Begin(true)
	require.NoError(t, err)
	free, err := pageFile{file, int64(db.Info().PageSize)}.free(uint64(tx.ID()) - 1)
	require.NoError(t, err)
	require.EqualValues(t, tx.Size()/int64(db.Info().PageSize), free.pages)
	pages, length := 0, 0
	for id := range int(free.pages) {
		info, err := tx.Page(id)
		if err != nil || (info.Type == "free") != (free.set[id/64]>>(id%64)&1 == 1) {
			require.Fail(t, "bbolt disagrees", "page %d is %s: %v", id, info.Type, err)
		}
	}
	for n, spans := range free.spans {
		pages, length = pages+n*spans, max(length, n)
	}
	require.Equal(t, free.set.count(), pages)
	require.NoError(t, tx.Rollback())
	return free
}

func TestFreePages(t *testing.T) {
	skipIfShort(t)
	db, err := bolt.Open(filepath.Join(memory(t), "db"), 0o600, &bolt.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	freeOf(t, db)
	few := freeOf(t, db).set.count()
	const many = manyFree + 1000
	row := make([]byte, 3000)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("b"))
		for i := range uint64(many) {
			if err == nil {
				err = b.Put(binary.BigEndian.AppendUint64(nil, i), row)
			}
		}
		return err
	}))
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("b"))
		for i := uint64(0); i < 2000; i += 2 {
			if err := b.Delete(binary.BigEndian.AppendUint64(nil, i)); err != nil {
				return err
			}
		}
		return nil
	}))
	require.Greater(t, freeOf(t, db).set.count(), few)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("b")) }))
	require.Greater(t, freeOf(t, db).set.count(), manyFree)
}

func TestDamagedListOfFreePages(t *testing.T) {
	path := filepath.Join(filledStore(t), "dlrloop.db")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	size := os.Getpagesize()
	tx := max(binary.NativeEndian.Uint64(content[metaTx:]), binary.NativeEndian.Uint64(content[size+metaTx:]))
	meta := content[int(tx%2)*size:]
	list := content[int(binary.NativeEndian.Uint64(meta[metaFreelist:]))*size:]
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	read := func() error {
		_, err := file.WriteAt(content, 0)
		require.NoError(t, err)
		_, err = pageFile{file, int64(size)}.free(tx)
		return err
	}
	require.NoError(t, read())
	binary.NativeEndian.PutUint64(list[pageHeader:], 1<<40)
	require.ErrorIs(t, read(), store.ErrDamaged)
	list[8] ^= freelistPage
	require.ErrorIs(t, read(), store.ErrDamaged)
	binary.NativeEndian.PutUint64(meta[metaFreelist:], 1<<40)
	require.ErrorIs(t, read(), store.ErrDamaged)
	binary.NativeEndian.PutUint64(meta[metaTx:], 0)
	require.ErrorIs(t, read(), store.ErrDamaged)
}
