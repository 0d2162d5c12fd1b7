package boltstore

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
)

// maxScanned is the maximum number of rows that a list reads for one page, even if few of them match the query.
const maxScanned = 20_000

// viewFolded runs a read transaction. It may miss what was recorded just before. If the read fails at a damaged row,
// foldLoop will mend the row.
func (s *Store) viewFolded(read func(*bolt.Tx) error) error {
	err := guarded(func() error { return s.db.View(read) })
	if err != nil {
		s.noteDamaged(err)
	}
	return err
}

// view runs a read transaction that includes everything recorded before the call. It blocks until the database has all
// of that.
func (s *Store) view(ctx context.Context, read func(*bolt.Tx) error) error {
	if s.closed.Load() {
		return s.closedError()
	}
	if err := s.backlog.Wait(ctx); err != nil {
		return err
	}
	err := s.viewFolded(read)
	if s.closed.Load() && err != nil {
		return s.closedError()
	}
	return err
}

// visitor handles one row of a list and returns whether it added the row to the page.
type visitor func(key, row []byte) (added bool, err error)

// forward lists one page: it calls visit for the rows whose key has the prefix, in key order, until the page is full. p
// says where the page begins and how many items it may hold. If more rows follow, *next becomes the next page's cursor.
func forward(b *bolt.Bucket, prefix []byte, p store.Paging, visit visitor, next *string) error {
	return scan(b.Cursor(), prefix, p, false, visit, next)
}

// backward lists a page like forward, but in descending key order.
func backward(b *bolt.Bucket, prefix []byte, p store.Paging, visit visitor, next *string) error {
	return scan(b.Cursor(), prefix, p, true, visit, next)
}

// errPageFull is what a visitor returns to end the page after the row that it has just added.
var errPageFull = errors.New("the page is full")

// scan lists one page like forward, but in descending key order if the flag backward is set.
func scan(c *bolt.Cursor, prefix []byte, p store.Paging, backward bool, visit visitor, next *string) error {
	after, err := decodeCursor(p.Cursor, prefix)
	if err != nil {
		return err
	}
	key, row := begin(c, prefix, after, backward)
	step := c.Next
	if backward {
		step = c.Prev
	}
	var last []byte
	full := false
	for size, scanned := 0, 0; key != nil && bytes.HasPrefix(key, prefix); key, row = step() {
		if full || size == p.Size() || scanned == maxScanned {
			*next = cursorOf(last, prefix)
			return nil
		}
		added, err := visit(key, row)
		if full = errors.Is(err, errPageFull); err != nil && !full {
			return err
		}
		if added {
			size++
		}
		scanned++
		last = key
	}
	return nil
}

// begin moves the cursor to the first row of a page: the row after lastKey, the last key of the previous page. If
// lastKey is nil, it is the first row with the prefix. If backward is set, the order is descending.
func begin(c *bolt.Cursor, prefix, lastKey []byte, backward bool) (key, row []byte) {
	if !backward {
		if lastKey == nil {
			return c.Seek(prefix)
		}
		if key, row = c.Seek(lastKey); bytes.Equal(key, lastKey) {
			return c.Next()
		}
		return key, row
	}
	target := lastKey
	if target == nil {
		if target = successor(prefix); target == nil {
			return c.Last()
		}
	}
	if key, _ = c.Seek(target); key == nil {
		return c.Last()
	}
	return c.Prev()
}

// successor returns the smallest key that is greater than all keys with the prefix, or nil if there is no such key.
func successor(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			s := append([]byte(nil), prefix[:i+1]...)
			s[i]++
			return s
		}
	}
	return nil
}

// cursorOf encodes the last key of a page, without its prefix, as the cursor of the next page.
func cursorOf(key, prefix []byte) string {
	return base64.RawURLEncoding.EncodeToString(key[len(prefix):])
}

// decodeCursor returns the key from which cursorOf made a page cursor, or nil for an empty cursor. It returns ErrCursor
// if the cursor is malformed.
func decodeCursor(cursor string, prefix []byte) ([]byte, error) {
	if cursor == "" {
		return nil, nil
	}
	rest, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(rest) == 0 {
		return nil, fmt.Errorf("%w: %.60q", store.ErrCursor, cursor)
	}
	return append(append([]byte(nil), prefix...), rest...), nil
}
