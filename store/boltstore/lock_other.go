//go:build !unix

package boltstore

import (
	"errors"
	"os"
)

var errLocked = errors.New("locked")

// lockFile does nothing: there is no flock on this system. bbolt locks the database.
func lockFile(*os.File) error { return nil }
