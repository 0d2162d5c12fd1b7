package pgstore

import (
	"fmt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/fold"
)

// maxKey is the maximum total size of the text columns of a primary key, in bytes after escape. PostgreSQL limits an
// index row to 2704 bytes. In the longest key, that of table recipient, everything else takes less than 100 bytes.
const maxKey = 2600

// checkKeys returns an error if a key of arrival a is too long for a database index. longest is the length in bytes of
// the longest recipient number in a, as sizeOf returns it.
func checkKeys(a store.Arrival, longest int) error {
	key := rowKey(a)
	if maxEscaped(len(key.Plan)+len(key.BatchID)+longest) <= maxKey {
		return nil
	}
	batch := len(escape(key.Plan)) + len(escape(key.BatchID))
	if batch > maxKey {
		return fmt.Errorf("record: plan and id have %d bytes, at most %d are allowed", batch, maxKey)
	}
	var err error
	fold.Touches(a, func(digits string) {
		if n := len(escape(digits)); batch+n > maxKey {
			err = fmt.Errorf("record: plan, batch id and a phone number have %d bytes, at most %d are allowed", batch+n, maxKey)
		}
	})
	return err
}

// maxEscaped returns the maximum total size after escape of three texts that have n bytes together.
func maxEscaped(n int) int { return 3*len(escapePrefix) + 2*n }
