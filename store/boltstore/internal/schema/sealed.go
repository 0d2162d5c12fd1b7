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

// SealMark is the first byte of a sealed row. The CRC-32C of bucket, key and content follows, then the content;
// SealSize is the length of mark and checksum in bytes. Rows of database format 2 are not sealed until they are written
// again, and never begin with SealMark.
const (
	SealMark = 0xf3
	SealSize = 1 + crc32.Size
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Unsealed returns a buffer for a row: SealSize bytes for the checksum, and capacity for size bytes of content. The
// caller appends the content and then calls Seal.
func Unsealed(size int) packed.Writer { return make(packed.Writer, SealSize, SealSize+size) }

// Seal writes the checksum of bucket, key and content into the first SealSize bytes of row, and returns row. The caller
// makes row with Unsealed, and stores it under key in bucket.
func Seal(bucket, key, row []byte) []byte {
	row[0] = SealMark
	binary.LittleEndian.PutUint32(row[1:], checksum(bucket, key, row[SealSize:]))
	return row
}

func checksum(bucket, key, content []byte) uint32 {
	sum := crc32.Update(crc32.Checksum(bucket, castagnoli), castagnoli, key)
	return crc32.Update(sum, castagnoli, content)
}

// Unseal verifies the checksum of row, the value under key in bucket, and returns the content as a part of row. A row
// of database format 2 has no checksum and is returned whole. If row or key is damaged, Unseal returns a *DamageError.
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

// marked reports whether row has a matching checksum although exactly one bit of its first byte differs from SealMark.
// Without this test, Unseal could take such a row for a count of format 2, which has no checksum.
func marked(bucket, key, row []byte) bool {
	return len(row) >= SealSize && bits.OnesCount8(row[0]^SealMark) == 1 &&
		binary.LittleEndian.Uint32(row[1:]) == checksum(bucket, key, row[SealSize:])
}

// DamageError reports where a damaged row is stored and what is wrong with the row. Its text masks phone numbers.
// errors.Is matches store.ErrDamaged and Cause.
type DamageError struct {
	Bucket, Key []byte
	Cause       error
}

// Damage returns a *DamageError for the row under key in bucket. It copies key. cause says what is wrong with the row.
func Damage(bucket, key []byte, cause error) error {
	return &DamageError{bucket, bytes.Clone(key), cause}
}

// ID returns a string that identifies the row and the cause. It may contain a phone number, so it must not be logged.
func (e *DamageError) ID() string { return fmt.Sprintf("%s\x00%s\x00%v", e.Bucket, e.Key, e.Cause) }

func (e *DamageError) Error() string {
	key := fmt.Sprintf("%x", e.Key)
	if bytes.Equal(e.Bucket, BucketRecipients) && len(e.Key) > 8 {
		key = fmt.Sprintf("%x %s", e.Key[:8], dlr.Number(e.Key[8:]).Masked())
	}
	return fmt.Sprintf("row %s of %s is damaged: %v", key, e.Bucket, e.Cause)
}

func (e *DamageError) Unwrap() []error { return []error{store.ErrDamaged, e.Cause} }

// DecodeBatch decodes row, the value under key in BucketBatches. It returns a *DamageError if row is damaged or empty.
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

// SealBatch encodes batch number n as a row with a checksum, to be stored in BucketBatches under n.Key().
func SealBatch(n Number, b *store.Batch) []byte {
	return Seal(BucketBatches, n.Key(), packed.AppendBatch(Unsealed(256), b))
}

// DecodeRecipient decodes row, the value under key in BucketRecipients. It returns a *DamageError if the row is
// damaged. If the row was rebuilt but its feedback state is not decided yet, DecodeRecipient returns the recipient
// together with a *DamageError whose Cause is ErrUnsettled.
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

// ErrUnsettled means that a recipient's row was rebuilt from reports, but its feedback state is not decided yet.
var ErrUnsettled = errors.New("it is being rebuilt")

// SealRecipient encodes a recipient as a row with a checksum, to be stored in BucketRecipients under key.
func SealRecipient(key []byte, r *store.Recipient) []byte {
	digits := dlr.Digits(r.Number)
	if Hashed(digits, MaxDigits) {
		digits = "" // the key holds their hash
	}
	return Seal(BucketRecipients, key, packed.AppendRecipient(Unsealed(24+40*len(r.Reports)), r, digits))
}

// DecodeCount returns the number of messages in row, the value under key in BucketMinutes. It returns a *DamageError if
// row is damaged.
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

// SealCount encodes a number of messages as a row with a checksum, to be stored in BucketMinutes under key.
func SealCount(key []byte, n int) []byte {
	return Seal(BucketMinutes, key, binary.AppendUvarint(Unsealed(binary.MaxVarintLen64), uint64(n)))
}
