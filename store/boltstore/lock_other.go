//go:build !unix

package boltstore

import (
	"errors"
	"os"
)

var errLocked = errors.New("locked")

// lockFile does nothing: this system has no flock. bbolt's own lock on the database file keeps other processes out.
func lockFile(*os.File) error { return nil }
