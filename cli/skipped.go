package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/dlrloop/dlrloop/sinch"
)

// skipped counts the entries of a list that cannot be used, and prints the reason of each to out.
type skipped struct {
	out   io.Writer
	count int
}

// take skips an entry if err is about this entry alone, and reports whether it is.
func (s *skipped) take(err error) bool {
	entry, ok := errors.AsType[*sinch.EntryError](err)
	if ok {
		s.add(entry)
	}
	return ok
}

// add skips an entry for the given reason.
func (s *skipped) add(err error) {
	s.count++
	fmt.Fprintf(s.out, "skipped: %s\n", printable(err.Error()))
}

// err returns an error with the number of skipped entries, or nil if there are none.
func (s *skipped) err() error {
	if s.count == 0 {
		return nil
	}
	return fmt.Errorf("the list is incomplete: %d of its entries were skipped, see above", s.count)
}
