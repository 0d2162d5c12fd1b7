package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/dlrloop/dlrloop/sinch"
)

// skipped counts the entries of a list that are left out because they cannot be read, and names each where people look.
type skipped struct {
	out   io.Writer
	count int
}

// take reports whether an error is about one entry alone, which then is left out.
func (s *skipped) take(err error) bool {
	entry, ok := errors.AsType[*sinch.EntryError](err)
	if ok {
		s.add(entry)
	}
	return ok
}

// add leaves out an entry for the reason given.
func (s *skipped) add(err error) {
	s.count++
	fmt.Fprintf(s.out, "skipped: %s\n", printable(err.Error()))
}

// err is nil if nothing was skipped.
func (s *skipped) err() error {
	if s.count == 0 {
		return nil
	}
	return fmt.Errorf("the list is incomplete: %d of its entries cannot be used, see above", s.count)
}
