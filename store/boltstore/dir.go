package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// storeDir is the store's directory, open and locked so that no other process uses it, even if the files in
// it are deleted.
type storeDir struct {
	*os.File
	watched   []watched
	checkedAt time.Time // time of the last check; used only by the committer's goroutine
}

// journalRemedy is the advice in errors about acknowledged reports that are missing on disk.
const journalRemedy = "restore the folder from a backup, or move it away to begin anew and read the reports from " +
	"Sinch again (dlrloop reconcile --since 14d)"

// watched is a path and the file that was opened there.
type watched struct {
	path string
	info os.FileInfo
}

// checkEvery is how often a commit checks that the directory, the database and the journal's segments are still at
// their paths.
const checkEvery = time.Second

// lockDir opens and locks the directory. It waits up to timeout for another process to release the lock.
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

// watch adds path to what check checks.
func (d *storeDir) watch(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	d.watched = append(d.watched, watched{path, info})
	return nil
}

// check returns a fatal error if a watched path or a segment of the journal was deleted or replaced: the next start
// would not find what is written there. It checks at most once every checkEvery.
func (d *storeDir) check(now time.Time, j *journal) error {
	if now.Sub(d.checkedAt) < checkEvery {
		return nil
	}
	d.checkedAt = now
	for _, w := range d.watched {
		if err := w.check(); err != nil {
			return err
		}
	}
	return j.check()
}

// check returns a fatal error if the path no longer leads to the opened file.
func (w watched) check() error {
	info, err := os.Stat(w.path)
	if !replaced(w.info, info, err) {
		return nil
	}
	return fatalError{fmt.Errorf("%s was deleted or replaced while it was in use: reports acknowledged in the last %s "+
		"may be lost. If it was moved, put it back and start again; if it is lost, %s",
		w.path, checkEvery, journalRemedy)}
}

// replaced reports whether info and err, the result of os.Stat, show that the opened file is no longer at its path.
// Errors such as EIO do not show that.
func replaced(opened, info os.FileInfo, err error) bool {
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
	}
	return !os.SameFile(opened, info)
}

// release closes the directory, which releases the lock.
func (d *storeDir) release() error { return d.Close() }
