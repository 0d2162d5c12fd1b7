package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/dlrloop/dlrloop/sinch"
)

// skipped counts the entries of a list from Sinch that cannot be used, and prints the reason for each to out.
type skipped struct {
	out   io.Writer
	count int
}

// take reports whether err concerns a single entry of a list, so that the caller can continue with the next entry. If
// so, it counts the entry and prints err.
func (s *skipped) take(err error) bool {
	entry, ok := errors.AsType[*sinch.EntryError](err)
	if ok {
		s.add(entry)
	}
	return ok
}

// add counts one entry and prints err, the reason why it cannot be used.
func (s *skipped) add(err error) {
	s.count++
	fmt.Fprintf(s.out, "skipped: %s\n", printable(err.Error()))
}

// err returns an error with the number of skipped entries, or nil if none was skipped.
func (s *skipped) err() error {
	if s.count == 0 {
		return nil
	}
	return fmt.Errorf("the list is incomplete: %d of its entries were skipped, see above", s.count)
}
