//go:build !unix

package boltstore

import (
	"errors"
	"os"
)

var errLocked = errors.New("locked")

// lockFile does nothing, because this system has no flock. The lock of bbolt on the database keeps other processes out.
func lockFile(*os.File) error { return nil }
