package boltstore

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/packed"
)

// pageBytes is the size in bytes at which a page of a list ends, even if more entries were requested.
const pageBytes = 16 << 20

// pageOfLog reads one page of a batch's stored reports. The page cursor has two numbers: that of a row (chunk) of the
// report log, and that of the next report in this row.
func (s *Store) pageOfLog(tx *bolt.Tx, n schema.Number, p store.Paging) (page store.Page[store.Logged], err error) {
	chunk, index, err := decodeLogCursor(p.Cursor)
	if err != nil {
		return page, err
	}
	bytes := 0
	c := tx.Bucket(schema.BucketLog).Cursor()
	for key, row := c.Seek(schema.LogKey(n, chunk)); key != nil && schema.NumberOf(key) == n; key, row = c.Next() {
		reports, err := schema.Unpack(s.decoder, key, row)
		if err != nil {
			return page, err
		}
		at := binary.BigEndian.Uint64(key[8:])
		if at != chunk {
			index = 0
		}
		for ; index < uint64(len(reports)); index++ {
			if len(page.Items) == p.Size() || bytes >= pageBytes {
				page.Next = encodeLogCursor(at, index)
				return page, nil
			}
			page.Items = append(page.Items, reports[index])
			bytes += len(reports[index].Raw)
		}
	}
	return page, nil
}

func encodeLogCursor(chunk, index uint64) string {
	return base64.RawURLEncoding.EncodeToString(binary.AppendUvarint(binary.AppendUvarint(nil, chunk), index))
}

func decodeLogCursor(cursor string) (chunk, index uint64, err error) {
	if cursor == "" {
		return 0, 0, nil
	}
	rest, err := base64.RawURLEncoding.DecodeString(cursor)
	u := packed.Reader{Rest: rest}
	chunk, index = u.Uint(), u.Uint()
	if err != nil || u.Err != nil || len(u.Rest) > 0 {
		return 0, 0, fmt.Errorf("%w: %.60q", store.ErrCursor, cursor)
	}
	return chunk, index, nil
}
