package boltstore

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/dlrloop/dlrloop/store/disk"
	"github.com/dlrloop/dlrloop/store/journal"
)

// storeDir is the open and locked directory of a store. The lock keeps other processes out even if the files in the
// directory are deleted.
type storeDir struct {
	*os.File
	watched   []disk.Watched
	checkedAt time.Time // time of the last check; used only by the committer's goroutine
}

// lockDir opens and locks a store's directory. It returns an error if another process holds the lock for longer than
// timeout.
func lockDir(path string, timeout time.Duration) (*storeDir, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	for begun := time.Now(); ; {
		err := lockFile(f)
		if err == nil {
			break
		}
		if !errors.Is(err, errLocked) || time.Since(begun) >= timeout {
			if errors.Is(err, errLocked) {
				err = fmt.Errorf("%s is in use by another process: only one dlrloop can have it open", path)
			}
			return nil, errors.Join(fmt.Errorf("open store: %w", err), f.Close())
		}
		time.Sleep(20 * time.Millisecond)
	}
	held := &storeDir{File: f}
	if err := held.watch(path); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return held, nil
}

// watch remembers which file is at path now. The method check then detects if that file is deleted or replaced.
func (d *storeDir) watch(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	d.watched = append(d.watched, disk.Watched{Path: path, Info: info})
	return nil
}

// check returns a fatal error if the directory, the database or a journal file was deleted or replaced: new data would
// be lost. It does nothing if the last check was less than disk.CheckEvery ago.
func (d *storeDir) check(now time.Time, j *journal.Journal) error {
	if now.Sub(d.checkedAt) < disk.CheckEvery {
		return nil
	}
	d.checkedAt = now
	for _, w := range d.watched {
		if err := w.Check(); err != nil {
			return err
		}
	}
	return j.Check()
}

func (d *storeDir) release() error { return d.Close() }
