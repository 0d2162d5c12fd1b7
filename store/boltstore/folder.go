package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// folder is the store's folder, held open so that no other process uses it, even if somebody deletes what is in it.
type folder struct {
	*os.File
	watched []watched
	looked  time.Time // when it was last checked; only the committer
}

// wayOut is what a person can do when acknowledged reports are missing on disk.
const wayOut = "restore the folder from a backup, or move it away to begin anew and read the reports from Sinch again " +
	"(dlrloop reconcile --since 14d)"

// watched is a path and what was opened there.
type watched struct {
	path string
	info os.FileInfo
}

// checkEvery is how often a commit looks whether the folder, the database and the journal are still where they were opened.
const checkEvery = time.Second

// holdFolder opens the folder and locks it, waiting for up to timeout.
func holdFolder(path string, timeout time.Duration) (*folder, error) {
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
	held := &folder{File: f}
	if err := held.watch(path); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return held, nil
}

// watch has check look at path too.
func (f *folder) watch(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	f.watched = append(f.watched, watched{path, info})
	return nil
}

// check fails when what is watched, or a segment of the journal, is no longer there: what is written then is on disk, but
// no start will find it.
func (f *folder) check(now time.Time, j *journal) error {
	if now.Sub(f.looked) < checkEvery {
		return nil
	}
	f.looked = now
	for _, w := range f.watched {
		if err := w.check(); err != nil {
			return err
		}
	}
	return j.check()
}

func (w watched) check() error {
	info, err := os.Stat(w.path)
	if !replaced(w.info, info, err) {
		return nil
	}
	return fatalError{fmt.Errorf("%s was deleted or replaced while it was in use: what was acknowledged in the last %s may be lost. "+
		"If it was moved, put it back and start again; if it is lost, %s", w.path, checkEvery, wayOut)}
}

// replaced reports whether a stat, which returned info and err, shows that a file is no longer where it was opened. An error
// such as EIO says nothing about that.
func replaced(opened, info os.FileInfo, err error) bool {
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
	}
	return !os.SameFile(opened, info)
}

// release lets others have the folder.
func (f *folder) release() error { return f.Close() }
