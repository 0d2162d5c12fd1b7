package pgstore

import (
	"fmt"

	"github.com/dlrloop/dlrloop/store"
)

// maxKey bounds the texts of a primary key together, in bytes as they are kept. A row of an index takes 2704 bytes: those of the
// longest key, recipient's, plus its numbers, the lengths and alignment, which take less than 100.
const maxKey = 2600

// checkKeys returns an error for an arrival that has a key too long for an index. longest is the length of the longest digits
// that it names.
func checkKeys(a store.Arrival, longest int) error {
	if keptAtMost(len(a.Plan)+len(a.News.Batch())+longest) <= maxKey {
		return nil
	}
	batch := len(text(a.Plan)) + len(text(a.News.Batch()))
	if batch > maxKey {
		return fmt.Errorf("record: plan and batch id have %d bytes, of at most %d", batch, maxKey)
	}
	var err error
	store.Touches(a, func(digits string) {
		if n := len(text(digits)); batch+n > maxKey {
			err = fmt.Errorf("record: plan, batch id and a number have %d bytes, of at most %d", batch+n, maxKey)
		}
	})
	return err
}

// keptAtMost is the most bytes that three texts of n bytes together are kept in.
func keptAtMost(n int) int { return 3*len(escaped) + 2*n }
