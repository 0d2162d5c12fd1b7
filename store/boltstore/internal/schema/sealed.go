package schema

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
	SealMark = 0xf3
	SealSize = 1 + crc32.Size
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Unsealed returns a buffer for a row: space for the seal, then the content to append, of about size bytes.
func Unsealed(size int) packed.Writer { return make(packed.Writer, SealSize, SealSize+size) }

// Seal fills in the seal at the start of a row that Unsealed began, and returns the row.
func Seal(bucket, key, row []byte) []byte {
	row[0] = SealMark
	binary.LittleEndian.PutUint32(row[1:], checksum(bucket, key, row[SealSize:]))
	return row
}

func checksum(bucket, key, content []byte) uint32 {
	sum := crc32.Update(crc32.Checksum(bucket, castagnoli), castagnoli, key)
	return crc32.Update(sum, castagnoli, content)
}

// Unseal returns the content of a row. It returns a *DamageError if the row or its key was changed after it was
// written.
func Unseal(bucket, key, row []byte) ([]byte, error) {
	if len(row) < SealSize || row[0] != SealMark {
		if marked(bucket, key, row) {
			return nil, Damage(bucket, key, errors.New("its mark does not match"))
		}
		return row, nil
	}
	if binary.LittleEndian.Uint32(row[1:]) != checksum(bucket, key, row[SealSize:]) {
		return nil, Damage(bucket, key, errors.New("its checksum does not match"))
	}
	return row[SealSize:], nil
}

// marked reports whether a row is sealed although one bit of its mark is flipped. Without this check, such a row could
// pass for a count of format 2.
func marked(bucket, key, row []byte) bool {
	return len(row) >= SealSize && bits.OnesCount8(row[0]^SealMark) == 1 &&
		binary.LittleEndian.Uint32(row[1:]) == checksum(bucket, key, row[SealSize:])
}

// DamageError identifies a damaged row. Its text masks phone numbers.
type DamageError struct {
	Bucket, Key []byte
	Cause       error
}

// Damage returns a *DamageError.
func Damage(bucket, key []byte, cause error) error {
	return &DamageError{bucket, bytes.Clone(key), cause}
}

// ID identifies the row and the cause.
func (e *DamageError) ID() string { return fmt.Sprintf("%s\x00%s\x00%v", e.Bucket, e.Key, e.Cause) }

func (e *DamageError) Error() string {
	key := fmt.Sprintf("%x", e.Key)
	if bytes.Equal(e.Bucket, BucketRecipients) && len(e.Key) > 8 {
		key = fmt.Sprintf("%x %s", e.Key[:8], dlr.Number(e.Key[8:]).Masked())
	}
	return fmt.Sprintf("row %s of %s is damaged: %v", key, e.Bucket, e.Cause)
}

func (e *DamageError) Unwrap() []error { return []error{store.ErrDamaged, e.Cause} }

// DecodeBatch decodes a row of bucket batches.
func DecodeBatch(key, row []byte) (*store.Batch, error) {
	content, err := Unseal(BucketBatches, key, row)
	if err != nil {
		return nil, err
	}
	b, err := packed.DecodeBatch(content)
	if err != nil {
		return nil, Damage(BucketBatches, key, err)
	}
	return b, nil
}

// SealBatch returns the sealed row of batch b, whose number is n.
func SealBatch(n Number, b *store.Batch) []byte {
	return Seal(BucketBatches, n.Key(), packed.AppendBatch(Unsealed(256), b))
}

// DecodeRecipient decodes a row of bucket recipients. A row that is still being rebuilt is an error; see rebuiltIn.
func DecodeRecipient(key, row []byte) (store.Recipient, error) {
	content, err := Unseal(BucketRecipients, key, row)
	if err != nil {
		return store.Recipient{}, err
	}
	r, err := packed.DecodeRecipient(content, string(key[min(8, len(key)):]))
	if err == nil && len(key) < 8 {
		err = errors.New("its key is too short")
	}
	if err == nil && r.Feedback > store.FeedbackDead {
		err = ErrUnsettled
	}
	if err != nil {
		return r, Damage(BucketRecipients, key, err)
	}
	return r, nil
}

// ErrUnsettled means that a recipient is being rebuilt and its feedback state is not decided yet.
var ErrUnsettled = errors.New("it is being rebuilt")

// SealRecipient returns the sealed row of a recipient. key is its key in bucket recipients.
func SealRecipient(key []byte, r *store.Recipient) []byte {
	digits := dlr.Digits(r.Number)
	if Hashed(digits, MaxDigits) {
		digits = "" // the key holds their hash
	}
	return Seal(BucketRecipients, key, packed.AppendRecipient(Unsealed(24+40*len(r.Reports)), r, digits))
}

// DecodeCount decodes a row of bucket minutes.
func DecodeCount(key, row []byte) (int, error) {
	content, err := Unseal(BucketMinutes, key, row)
	if err != nil {
		return 0, err
	}
	u := packed.Reader{Rest: content}
	n := int(u.Uint())
	if u.Err == nil && len(u.Rest) > 0 {
		u.Err = errors.New("extra bytes follow the count")
	}
	if u.Err != nil {
		return 0, Damage(BucketMinutes, key, u.Err)
	}
	return n, nil
}

// SealCount returns the sealed row of a minute count. key is its key in bucket minutes.
func SealCount(key []byte, n int) []byte {
	return Seal(BucketMinutes, key, binary.AppendUvarint(Unsealed(binary.MaxVarintLen64), uint64(n)))
}
