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

// maxLooked bounds the rows that a read looks at for one page.
const maxLooked = 20_000

// look runs read in a transaction, and tells of damage that it meets.
func (s *Store) look(read func(*bolt.Tx) error) error {
	err := guarded(func() error { return s.db.View(read) })
	if err != nil {
		s.met(err)
	}
	return err
}

// view runs read in a transaction that sees all that was acknowledged before.
func (s *Store) view(ctx context.Context, read func(*bolt.Tx) error) error {
	if s.closed.Load() {
		return s.ended()
	}
	if err := s.backlog.wait(ctx); err != nil {
		return err
	}
	err := s.look(read)
	if s.closed.Load() && err != nil {
		return s.ended()
	}
	return err
}

// forward visits the keys with the prefix in their order, beginning behind the page's cursor, until visit took as many
// as the page wants, and sets next to the cursor of the page after it.
func forward(b *bolt.Bucket, prefix []byte, p store.Paging, visit func(key, row []byte) (took bool, err error), next *string) error {
	return scan(b.Cursor(), prefix, p, false, visit, next)
}

// backward is forward from the last key to the first.
func backward(b *bolt.Bucket, prefix []byte, p store.Paging, visit func(key, row []byte) (took bool, err error), next *string) error {
	return scan(b.Cursor(), prefix, p, true, visit, next)
}

// errPageFull ends a page with what was just taken, though there is room for more.
var errPageFull = errors.New("the page is full")

func scan(c *bolt.Cursor, prefix []byte, p store.Paging, backward bool, visit func(key, row []byte) (bool, error), next *string) error {
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
	for taken, looked := 0, 0; key != nil && bytes.HasPrefix(key, prefix); key, row = step() {
		if full || taken == p.Size() || looked == maxLooked {
			*next = cursorOf(last, prefix)
			return nil
		}
		took, err := visit(key, row)
		if full = errors.Is(err, errPageFull); err != nil && !full {
			return err
		}
		if took {
			taken++
		}
		looked++
		last = key
	}
	return nil
}

// begin places the cursor on the first key behind after, or on the first of all with the prefix.
func begin(c *bolt.Cursor, prefix, after []byte, backward bool) (key, row []byte) {
	if !backward {
		if after == nil {
			return c.Seek(prefix)
		}
		if key, row = c.Seek(after); bytes.Equal(key, after) {
			return c.Next()
		}
		return key, row
	}
	target := after
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

// successor is the first key behind all with the prefix; nil when there is none.
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

// cursorOf is the cursor that stands for a key with the prefix.
func cursorOf(key, prefix []byte) string {
	return base64.RawURLEncoding.EncodeToString(key[len(prefix):])
}

// decodeCursor returns the key a cursor stands for; nil for none.
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
