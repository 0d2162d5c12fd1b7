//go:build !unix

package boltstore

import (
	"errors"
	"os"
)

var errLocked = errors.New("locked")

// lockFile does nothing where there is no flock; the database has a lock of its own.
func lockFile(*os.File) error { return nil }
