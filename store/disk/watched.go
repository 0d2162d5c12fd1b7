package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Remedy is the advice in errors about acknowledged reports that are missing on disk.
const Remedy = "restore the folder from a backup, or move it away to begin anew and read the reports from " +
	"Sinch again (dlrloop reconcile --since 14d)"

// Watched is a path and the file that was opened there.
type Watched struct {
	Path string
	Info os.FileInfo
}

// CheckEvery is how often a commit checks that the directory, the database and the journal's segments are still at
// their paths.
const CheckEvery = time.Second

// Check returns a fatal error if the path no longer leads to the opened file.
func (w Watched) Check() error {
	info, err := os.Stat(w.Path)
	if !replaced(w.Info, info, err) {
		return nil
	}
	return Fatal(fmt.Errorf("%s was deleted or replaced while it was in use: reports acknowledged in the last %s "+
		"may be lost. If it was moved, put it back and start again; if it is lost, %s",
		w.Path, CheckEvery, Remedy))
}

// replaced reports whether info and err, the result of os.Stat, show that the opened file is no longer at its path.
// Errors such as EIO do not show that.
func replaced(opened, info os.FileInfo, err error) bool {
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
	}
	return !os.SameFile(opened, info)
}
