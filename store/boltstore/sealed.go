package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// A sealed row consists of a mark, the CRC-32C of bucket, key and content, and the content. Rows of format 2 have only
// the content; they are sealed when they are written again. No content of format 2 begins with the mark, and a sealed
// row whose mark has one flipped bit is recognized (see marked).
const (
	sealMark = 0xf3
	sealSize = 1 + crc32.Size
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// unsealed returns a buffer for a row: space for the seal, then the content to append, of about size bytes.
func unsealed(size int) packed.Writer { return make(packed.Writer, sealSize, sealSize+size) }

// seal fills in the seal at the start of a row that unsealed began, and returns the row.
func seal(bucket, key, row []byte) []byte {
	row[0] = sealMark
	binary.LittleEndian.PutUint32(row[1:], checksum(bucket, key, row[sealSize:]))
	return row
}

func checksum(bucket, key, content []byte) uint32 {
	sum := crc32.Update(crc32.Checksum(bucket, castagnoli), castagnoli, key)
	return crc32.Update(sum, castagnoli, content)
}

// unseal returns the content of a row. It returns a *damageError if the row or its key was changed after it was
// written.
func unseal(bucket, key, row []byte) ([]byte, error) {
	if len(row) < sealSize || row[0] != sealMark {
		if marked(bucket, key, row) {
			return nil, damage(bucket, key, errors.New("its mark does not match"))
		}
		return row, nil
	}
	if binary.LittleEndian.Uint32(row[1:]) != checksum(bucket, key, row[sealSize:]) {
		return nil, damage(bucket, key, errors.New("its checksum does not match"))
	}
	return row[sealSize:], nil
}

// marked reports whether a row is sealed although one bit of its mark is flipped. Without this check, such a row could
// pass for a count of format 2.
func marked(bucket, key, row []byte) bool {
	return len(row) >= sealSize && bits.OnesCount8(row[0]^sealMark) == 1 &&
		binary.LittleEndian.Uint32(row[1:]) == checksum(bucket, key, row[sealSize:])
}

// damageError identifies a damaged row. Its text masks phone numbers.
type damageError struct {
	bucket, key []byte
	cause       error
}

// damage returns a *damageError.
func damage(bucket, key []byte, cause error) error {
	return &damageError{bucket, bytes.Clone(key), cause}
}

// id identifies the row and the cause.
func (e *damageError) id() string { return fmt.Sprintf("%s\x00%s\x00%v", e.bucket, e.key, e.cause) }

func (e *damageError) Error() string {
	key := fmt.Sprintf("%x", e.key)
	if bytes.Equal(e.bucket, bucketRecipients) && len(e.key) > 8 {
		key = fmt.Sprintf("%x %s", e.key[:8], dlr.Number(e.key[8:]).Masked())
	}
	return fmt.Sprintf("row %s of %s is damaged: %v", key, e.bucket, e.cause)
}

func (e *damageError) Unwrap() []error { return []error{store.ErrDamaged, e.cause} }

// batchIn decodes a row of bucket batches.
func batchIn(key, row []byte) (*store.Batch, error) {
	content, err := unseal(bucketBatches, key, row)
	if err != nil {
		return nil, err
	}
	b, err := packed.DecodeBatch(content)
	if err != nil {
		return nil, damage(bucketBatches, key, err)
	}
	return b, nil
}

func sealBatch(n number, b *store.Batch) []byte {
	return seal(bucketBatches, n.key(), packed.AppendBatch(unsealed(256), b))
}

// recipientIn decodes a row of bucket recipients. A row that is still being rebuilt is an error; see rebuiltIn.
func recipientIn(key, row []byte) (store.Recipient, error) {
	content, err := unseal(bucketRecipients, key, row)
	if err != nil {
		return store.Recipient{}, err
	}
	r, err := packed.DecodeRecipient(content, string(key[min(8, len(key)):]))
	if err == nil && len(key) < 8 {
		err = errors.New("its key is too short")
	}
	if err == nil && r.Feedback > store.FeedbackDead {
		err = errUnsettled
	}
	if err != nil {
		return r, damage(bucketRecipients, key, err)
	}
	return r, nil
}

// errUnsettled means that a recipient is being rebuilt and its feedback state is not decided yet.
var errUnsettled = errors.New("it is being rebuilt")

func sealRecipient(key []byte, r *store.Recipient) []byte {
	digits := dlr.Digits(r.Number)
	if hashed(digits, maxDigits) {
		digits = "" // the key holds their hash
	}
	return seal(bucketRecipients, key, packed.AppendRecipient(unsealed(24+40*len(r.Seen)), r, digits))
}

// countIn decodes a row of bucket minutes.
func countIn(key, row []byte) (int, error) {
	content, err := unseal(bucketMinutes, key, row)
	if err != nil {
		return 0, err
	}
	u := packed.Reader{Rest: content}
	n := int(u.Uint())
	if u.Err == nil && len(u.Rest) > 0 {
		u.Err = errors.New("extra bytes follow the count")
	}
	if u.Err != nil {
		return 0, damage(bucketMinutes, key, u.Err)
	}
	return n, nil
}

func sealCount(key []byte, n int) []byte {
	return seal(bucketMinutes, key, binary.AppendUvarint(unsealed(binary.MaxVarintLen64), uint64(n)))
}
