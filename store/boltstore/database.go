package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// format is the format of the database. A newer one is refused.
const format = 1

// Keys of bucket meta.
var (
	keyFormat   = []byte("format")
	keyPosition = []byte("position")
	keyTotals   = []byte("totals")
)

// openDatabase opens the bbolt file, or makes one, and says plainly what is wrong with one that cannot be used.
func openDatabase(path string, lockTimeout time.Duration) (*bolt.DB, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTimeout, FreelistType: bolt.FreelistMapType})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("open store: %s is in use by another process: only one dlrloop can have it open", path)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch), errors.Is(err, bolterrors.ErrChecksum):
		return nil, fmt.Errorf("open store: %s is damaged or no database of dlrloop (%w): restore it from a backup together with the journal, or move the folder away to begin anew", path, err)
	case err != nil:
		return nil, fmt.Errorf("open store: %s: %w", path, err)
	}
	if err := errors.Join(checkLength(db, path), prepare(db, path)); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), db.Close())
	}
	return db, nil
}

// checkLength refuses a file that was cut: reading what is missing would end the process.
func checkLength(db *bolt.DB, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return db.View(func(tx *bolt.Tx) error {
		if tx.Size() > info.Size() {
			return fmt.Errorf("%s is damaged: it has %d bytes and should have %d: restore it from a backup together with the journal", path, info.Size(), tx.Size())
		}
		return nil
	})
}

// prepare makes the buckets of a new database and checks the format of one that was there.
func prepare(db *bolt.DB, path string) error {
	found, made := uint64(0), false
	err := db.View(func(tx *bolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			if name, _ := tx.Cursor().First(); name != nil {
				return fmt.Errorf("%s is no database of dlrloop", path)
			}
			return nil
		}
		made = true
		if row := meta.Get(keyFormat); len(row) == 8 {
			found = binary.BigEndian.Uint64(row)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case made && found > format:
		return fmt.Errorf("%s has format %d, this version knows format %d: use the version that wrote it, or a newer one", path, found, format)
	case made && found < format:
		return fmt.Errorf("%s is damaged: its format is missing", path)
	case made:
		return nil
	}
	return db.Update(func(tx *bolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(keyFormat, binary.BigEndian.AppendUint64(nil, format))
	})
}

// load reads what the store keeps in memory and returns the journal position the database has reached.
func (s *Store) load() (position uint64, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		if row := tx.Bucket(bucketMeta).Get(keyPosition); len(row) == 8 {
			position = binary.BigEndian.Uint64(row)
		}
		newest, _ := tx.Bucket(bucketBatches).Cursor().Last()
		trash, _ := tx.Bucket(bucketTrash).Cursor().Last()
		s.last = max(numberOf(newest), numberOf(trash))
		s.quarantine = countQuarantined(tx)
		s.totals, err = loadTotals(tx)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("open store: %w", err)
	}
	return position, nil
}
