package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// checkFolder refuses a store's path that cannot become a folder, and warns of one that this user cannot write.
func (l *loading) checkFolder(key, path string) {
	for dir := filepath.Clean(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		switch {
		case err != nil && !errors.Is(err, fs.ErrPermission) && dir != filepath.Dir(dir):
			continue
		case errors.Is(err, fs.ErrPermission):
			l.warn(key, "this user cannot look into %s; let the user that runs dlrloop do", filepath.Dir(dir))
		case err == nil && !info.IsDir():
			l.problem(key, "%s is a file; name a folder", dir)
		case err == nil && !mayWrite(dir):
			l.warn(key, "this user cannot write in %s; let the user that runs dlrloop do", dir)
		case l.trying:
			if err := tryFolder(filepath.Clean(path)); err != nil {
				l.problem(key, "no store can be kept there: %s; name another folder", withoutPath(err))
			}
		}
		return
	}
}

// tryFolder makes the folder of a store, with a folder and a file in it as a store has them, and removes what it made.
func tryFolder(path string) error {
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
		defer os.Remove(dir) // only what this call made, and only while it is empty
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
