package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// checkDir checks path, the directory of the store. It records a problem if path or a directory above it is a file. It
// warns if the current user cannot write to path or, if path does not exist, to the nearest existing directory above.
// If path passes these tests in a call of the function Check, checkDir also calls tryDir and records its error as a
// problem.
func (l *loader) checkDir(key, path string) {
	for dir := filepath.Clean(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		switch {
		case err != nil && !errors.Is(err, fs.ErrPermission) && dir != filepath.Dir(dir):
			continue
		case errors.Is(err, fs.ErrPermission):
			l.warn(key, "this user cannot access %s; grant the user that runs dlrloop access", filepath.Dir(dir))
		case err == nil && !info.IsDir():
			l.problem(key, "%s is a file; name a directory", dir)
		case err == nil && !mayWrite(dir):
			l.warn(key, "this user cannot write to %s; grant the user that runs dlrloop write access", dir)
		case l.tryStore:
			if err := tryDir(filepath.Clean(path)); err != nil {
				l.problem(key, "cannot create a store there: %s; name another directory", withoutPath(err))
			}
		}
		return
	}
}

// tryDir finds out whether a store can be created in the directory path. It creates a subdirectory and a file there, as
// a store does, and removes all that it has created. The error says what failed.
func tryDir(path string) error {
	var missing []string // the deepest first
	for dir := path; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); err == nil {
			break
		}
		missing = append(missing, dir)
	}
	for _, dir := range slices.Backward(missing) {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		defer os.Remove(dir) // fails unless dir is empty, so files of others stay
	}
	journal, err := os.MkdirTemp(path, "journal-*")
	if err != nil {
		return err
	}
	defer os.Remove(journal)
	segment, err := os.CreateTemp(journal, "0000000000-*")
	if err != nil {
		return err
	}
	_, err = segment.WriteString("dlrloop check")
	return errors.Join(err, segment.Close(), os.Remove(segment.Name()))
}
