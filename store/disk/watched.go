package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Remedy is the advice in errors about lost data: reports that dlrloop acknowledged to Sinch are not on disk.
const Remedy = "restore the folder from a backup, or move it away to begin anew and read the reports from " +
	"Sinch again (dlrloop reconcile --since 14d)"

// Watched is a path and the file that was opened there. Check detects that the file was deleted or replaced.
type Watched struct {
	Path string
	Info os.FileInfo
}

// CheckEvery is the minimum time between two checks of open files. A commit checks that the store's directory, the
// database and the journal's segment files are still at their paths.
const CheckEvery = time.Second

// Check returns a fatal error if the opened file is no longer at the path.
func (w Watched) Check() error {
	info, err := os.Stat(w.Path)
	if !replaced(w.Info, info, err) {
		return nil
	}
	return Fatal(fmt.Errorf("%s was deleted or replaced while it was in use: reports acknowledged in the last %s "+
		"may be lost. If it was moved, put it back and start again; if it is lost, %s",
		w.Path, CheckEvery, Remedy))
}

// replaced reports whether the opened file is no longer at its path. info and err are the result of os.Stat for the
// path. For an error such as EIO it returns false, because the file may still be there.
func replaced(opened, info os.FileInfo, err error) bool {
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
	}
	return !os.SameFile(opened, info)
}
