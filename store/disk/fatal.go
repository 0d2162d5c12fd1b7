package disk

import (
	"errors"
	"io/fs"
	"syscall"
)

// fatalError marks an error after which the content of the disk is unknown: after a failed sync the kernel may drop the
// unwritten pages and report success for the next sync. The store must shut down; its next start reads the disk.
type fatalError struct{ error }

func (f fatalError) Unwrap() error { return f.error }

// Fatal marks err, which must not be nil, as fatal. It returns err unchanged if a write failed because the disk is
// full: such a write changed nothing. A sync that fails because the disk is full is fatal.
func Fatal(err error) error {
	write, ok := errors.AsType[*fs.PathError](err)
	if ok && write.Op == "write" && (errors.Is(write.Err, syscall.ENOSPC) || errors.Is(write.Err, syscall.EDQUOT)) {
		return err
	}
	return fatalError{err}
}

// IsFatal reports whether err is fatal, so that the store must shut down.
func IsFatal(err error) bool { return errors.As(err, new(fatalError)) }
