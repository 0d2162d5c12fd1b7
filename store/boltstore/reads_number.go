package boltstore

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// RecipientBatches implements store.Store: it lists the batches of one recipient, newest first. The page cursor encodes
// the number of the last batch returned.
func (s *Store) RecipientBatches(
	ctx context.Context, recipient string, p store.Paging,
) (page store.Page[store.RecipientInBatch], err error) {
	before, err := decodeNumberCursor(p.Cursor)
	if err != nil {
		return page, err
	}
	digits := dlr.Digits(recipient)
	err = s.view(ctx, func(tx *bolt.Tx) error {
		return eachNumber(tx, digits, before, func(n schema.Number) (bool, error) {
			if len(page.Items) == p.Size() {
				last := page.Items[len(page.Items)-1]
				shown, err := find(tx, last.Key)
				page.Next = encodeNumberCursor(shown)
				return false, err
			}
			b, err := schema.ReadBatch(tx, n)
			if err != nil || b == nil {
				return err == nil, err
			}
			r, err := recipientOf(tx, n, digits)
			if errors.Is(err, store.ErrNotFound) {
				return true, nil
			}
			page.Items = append(page.Items, store.RecipientInBatch{Key: b.Key(), Recipient: r})
			return err == nil, err
		})
	})
	return page, err
}

// eachNumber calls visit for each batch of one phone number, newest first, if the batch's number is less than bound. It
// stops when visit returns false or an error.
func eachNumber(tx *bolt.Tx, digits string, bound schema.Number, visit func(schema.Number) (bool, error)) error {
	c := tx.Bucket(schema.BucketNumbers).Cursor()
	oldest, _ := c.First()
	newest, _ := c.Last()
	if oldest == nil {
		return nil
	}
	day := min(binary.BigEndian.Uint32(newest), bound.Day())
	for ; day >= binary.BigEndian.Uint32(oldest); day-- {
		prefix := schema.NumberPrefix(day, digits)
		key, _ := begin(c, prefix, nil, true)
		for ; bytes.HasPrefix(key, prefix) && len(key) == len(prefix)+8; key, _ = c.Prev() {
			n := schema.TrailingNumber(key)
			if n >= bound {
				continue
			}
			if more, err := visit(n); err != nil || !more {
				return err
			}
		}
		if day == 0 {
			break
		}
	}
	return nil
}

func encodeNumberCursor(n schema.Number) string {
	return base64.RawURLEncoding.EncodeToString(n.Key())
}

func decodeNumberCursor(cursor string) (schema.Number, error) {
	if cursor == "" {
		return ^schema.Number(0), nil
	}
	key, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(key) != 8 {
		return 0, fmt.Errorf("%w: %.60q", store.ErrCursor, cursor)
	}
	return schema.NumberOf(key), nil
}
