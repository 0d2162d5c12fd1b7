package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/copying"
	"github.com/dlrloop/dlrloop/store/disk"
)

// format is the version of the database format. Open upgrades an older database and returns an error for a newer one.
// Version 2 added BucketFetches, version 3 the checksums of rows, version 4 the inbound messages, version 5 the events.
const format = 5

// remedy is the advice at the end of every error about a database that cannot be used.
const remedy = "restore it from a backup together with the journal, or move the folder away to begin anew"

// openDatabase opens or creates the database file, checks it and upgrades an older format. It returns an error if
// another process has the file open for longer than lockTimeout.
func openDatabase(path string, lockTimeout time.Duration) (*bolt.DB, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDatabase(path, lockTimeout); err != nil {
			return nil, fmt.Errorf("open store: create %s: %w", path, err)
		}
		info, err = os.Stat(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if info.Size() == 0 {
		return nil, fmt.Errorf("open store: %s is damaged: it is empty: %s", path, remedy)
	}
	db, err := openBolt(path, lockTimeout)
	_, system := errors.AsType[*fs.PathError](err)
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("open store: %s is in use by another process: only one dlrloop can have it open", path)
	case system:
		return nil, fmt.Errorf("open store: %w", err)
	case err != nil:
		return nil, fmt.Errorf("open store: %s is damaged or not a dlrloop database (%w): %s", path, err, remedy)
	}
	err = guarded(func() error {
		if err := checkLength(db, path); err != nil {
			return err
		}
		return checkFormat(db, path)
	})
	if err == nil {
		err = rewriteMetas(db, path)
	}
	if err == nil {
		err = upgrade(db)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), db.Close())
	}
	removeUnfinished(path)
	return db, nil
}

// openBolt opens or creates the bbolt file at path. It returns an error if another process has the file open for longer
// than lockTimeout, and ErrDamaged if the file is so damaged that bbolt panics.
func openBolt(path string, lockTimeout time.Duration) (db *bolt.DB, err error) {
	err = guarded(func() error {
		db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTimeout, FreelistType: bolt.FreelistMapType})
		return err
	})
	return db, err
}

// guarded calls run and returns its error, or ErrDamaged if run panics, as bbolt does on a damaged file.
func guarded(run func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%w: it cannot be read: %v", store.ErrDamaged, cause)
		}
	}()
	return run()
}

// makeDatabase creates an empty database at path, or keeps one that another process has just created there. A crash
// leaves no partial database at path.
func makeDatabase(path string, lockTimeout time.Duration) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new")
	if err != nil {
		return err
	}
	temporary := file.Name()
	defer os.Remove(temporary) //nolint:errcheck // the next start removes it otherwise
	if err := file.Close(); err != nil {
		return err
	}
	db, err := openBolt(temporary, lockTimeout)
	if err != nil {
		return err
	}
	if err := errors.Join(db.Update(prepare), db.Close()); err != nil {
		return err
	}
	err = os.Link(temporary, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = os.Rename(temporary, path) // the file system has no hard links
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return disk.SyncDir(filepath.Dir(path))
}

// removeUnfinished deletes the temporary files that an interrupted makeDatabase left beside path. It ignores errors.
func removeUnfinished(path string) {
	leftover, _ := filepath.Glob(path + ".*.new")
	for _, l := range leftover {
		_ = os.Remove(l)
	}
}

// prepare creates the buckets (tables) of a new database and stores the format version, in a writable transaction.
func prepare(tx *bolt.Tx) error {
	for _, name := range schema.Buckets {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return tx.Bucket(schema.BucketMeta).Put(schema.KeyFormat, binary.BigEndian.AppendUint64(nil, format))
}

// checkLength returns an error if the database file is shorter than the size that bbolt has stored in it.
func checkLength(db *bolt.DB, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return db.View(func(tx *bolt.Tx) error {
		if tx.Size() > info.Size() {
			return fmt.Errorf("%s is damaged: it has %d bytes and should have %d: %s",
				path, info.Size(), tx.Size(), remedy)
		}
		return nil
	})
}

// checkFormat returns an error if the file is not a dlrloop database or has a newer format.
func checkFormat(db *bolt.DB, path string) error {
	return db.View(func(tx *bolt.Tx) error {
		meta := tx.Bucket(schema.BucketMeta)
		if meta == nil {
			return fmt.Errorf("%s is not a dlrloop database", path)
		}
		row := meta.Get(schema.KeyFormat)
		if len(row) != 8 {
			return fmt.Errorf("%s is damaged: its format is missing", path)
		}
		if found := binary.BigEndian.Uint64(row); found > format || found == 0 {
			return fmt.Errorf("%s has format %d, this version reads format %d: use the version that wrote it, "+
				"or a newer one", path, found, format)
		}
		return nil
	})
}

// upgrade brings an older database to the current format. Rows keep their older form until they are written again.
func upgrade(db *bolt.DB) error {
	current := false
	err := db.View(func(tx *bolt.Tx) error {
		current = binary.BigEndian.Uint64(tx.Bucket(schema.BucketMeta).Get(schema.KeyFormat)) == format
		return nil
	})
	if err != nil || current {
		return err
	}
	return db.Update(func(tx *bolt.Tx) error {
		for _, name := range schema.Buckets {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return tx.Bucket(schema.BucketMeta).Put(schema.KeyFormat, binary.BigEndian.AppendUint64(nil, format))
	})
}

// rewriteMetas writes and syncs bbolt's two meta pages, which point to the current data, once more. Otherwise the disk
// may hold older ones after a failed sync, and bbolt would overwrite pages that those use.
func rewriteMetas(db *bolt.DB, path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	metas := make([]byte, 2*db.Info().PageSize)
	if _, err = file.ReadAt(metas, 0); err == nil {
		_, err = file.WriteAt(metas, 0)
	}
	if err == nil {
		err = disk.Datasync(file)
	}
	return errors.Join(err, file.Close())
}

// load reads what the store keeps in memory, such as the totals, and mends damaged rows of it. What the journal holds
// up to the position reached is in the database already.
func (s *Store) load() (reached schema.Position, err error) {
	read := func(tx *bolt.Tx) error {
		if tx.Bucket(schema.BucketMeta).Get(schema.KeyCopy) != nil {
			return copying.ErrUnfinished
		}
		if reached, err = schema.ReadPosition(tx); err != nil {
			return err
		}
		newest, _ := tx.Bucket(schema.BucketBatches).Cursor().Last()
		if newest != nil && tx.Bucket(schema.BucketMeta).Get(schema.KeyPosition) == nil {
			return errors.New("its journal position is missing: " + remedy)
		}
		trash, _ := tx.Bucket(schema.BucketTrash).Cursor().Last()
		s.last = max(schema.NumberOf(newest), schema.NumberOf(trash))
		s.quarantine = countQuarantined(tx)
		if s.eventRange, err = schema.ReadEventRange(tx); err != nil {
			return err
		}
		s.totals, err = schema.LoadTotals(tx)
		return err
	}
	var tried *schema.DamageError
	for {
		err := guarded(func() error { return s.db.View(read) })
		if d, isRow := errors.AsType[*schema.DamageError](err); isRow && (tried == nil || tried.ID() != d.ID()) {
			if tried, err = d, s.mendRows([]*schema.DamageError{d}, nil); err == nil {
				continue
			}
		}
		if err != nil {
			return reached, fmt.Errorf("open store: %s: %w", s.db.Path(), err)
		}
		s.loaded = true
		return reached, nil
	}
}
