package schema

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"math/bits"

	"github.com/klauspost/compress/zstd"
)

// Correct returns copies of key and row in which a single flipped bit is corrected; ok is false for any other damage.
// Two or three flipped bits are never mistaken for one, because CRC-32C has a Hamming distance of 4 for up to 2^31
// bits. Other damage to a row of n bytes passes as one flipped bit with a probability of 8n/2^32, so the caller must
// also decode the result.
func Correct(bucket, key, row []byte) (rightKey, rightRow []byte, ok bool) {
	if len(row) < SealSize || bits.OnesCount8(row[0]^SealMark) > 1 {
		return nil, nil, false
	}
	stored := binary.LittleEndian.Uint32(row[1:])
	syndrome := stored ^ checksum(bucket, key, row[SealSize:])
	rightKey, rightRow = bytes.Clone(key), bytes.Clone(row)
	if row[0] != SealMark {
		rightRow[0] = SealMark
		return rightKey, rightRow, syndrome == 0
	}
	if bits.OnesCount32(syndrome) == 1 {
		binary.LittleEndian.PutUint32(rightRow[1:], stored^syndrome)
		return rightKey, rightRow, true
	}
	content := rightRow[SealSize:]
	i := flippedBit(syndrome, 8*(len(key)+len(content)))
	if i < 0 {
		return nil, nil, false
	}
	if i < 8*len(key) {
		rightKey[i/8] ^= 1 << (i % 8)
	} else {
		i -= 8 * len(key)
		content[i/8] ^= 1 << (i % 8)
	}
	return rightKey, rightRow, true
}

// flippedBit returns the index of the flipped bit in a message of n bits whose checksum does not match, or -1 if no
// single bit explains the mismatch. syndrome is the XOR of the stored and the computed CRC-32C.
func flippedBit(syndrome uint32, n int) int {
	// The checksum processes the lowest bit of a byte first. A flip of the last bit leaves the polynomial in the
	// register, and each bit after a flipped one shifts the register once.
	register := uint32(crc32.Castagnoli)
	for i := n - 1; i >= 0; i-- {
		if register == syndrome {
			return i
		}
		register = register>>1 ^ crc32.Castagnoli&-(register&1)
	}
	return -1
}

// Sound returns a *DamageError if row, the value under key in bucket, is damaged: its checksum does not match or its
// content does not decode. For batches and recipients, encoding the content again must also yield the same row. The
// decoder comes from NewDecompressor.
func Sound(d *zstd.Decoder, bucket, key, row []byte) error {
	var again []byte
	switch {
	case bytes.Equal(bucket, BucketBatches):
		b, err := DecodeBatch(key, row)
		if err != nil {
			return err
		}
		again = SealBatch(NumberOf(key), b)
	case bytes.Equal(bucket, BucketRecipients):
		r, err := DecodeRecipient(key, row)
		if err != nil {
			return err
		}
		again = SealRecipient(key, &r)
	case bytes.Equal(bucket, BucketQuarantine):
		if _, err := DecodeQuarantined(key, row); err != nil {
			return err
		}
		return nil
	case bytes.Equal(bucket, BucketInbound):
		_, err := DecodeInbound(key, row)
		return err
	case bytes.Equal(bucket, BucketMinutes):
		_, err := DecodeCount(key, row)
		return err
	case bytes.Equal(bucket, BucketLog):
		_, err := Unpack(d, key, row)
		return err
	case bytes.Equal(bucket, BucketEvents):
		r, err := OpenEvents(key, row)
		if err == nil {
			_, err = r.Events(d)
		}
		return err
	case bytes.Equal(bucket, BucketDestinations):
		_, err := DecodeDestination(key, row)
		return err
	case bytes.Equal(bucket, BucketDeferred):
		_, err := DecodeDeferred(key, row)
		return err
	default:
		return soundMeta(key, row)
	}
	if row[0] == SealMark && !bytes.Equal(row, again) {
		return Damage(bucket, key, errors.New("encoding its content again yields another row"))
	}
	return nil
}

func soundMeta(key, row []byte) error {
	content, err := Unseal(BucketMeta, key, row)
	switch {
	case err != nil:
	case bytes.Equal(key, KeyTotals) && !json.Valid(content):
		err = Damage(BucketMeta, key, errors.New("it is not JSON"))
	case bytes.Equal(key, KeyPosition) && len(content) != wholeLength && len(content) != wholeLength+16:
		err = Damage(BucketMeta, key, errors.New("its length is wrong"))
	case bytes.Equal(key, KeyEvents):
		_, err = decodeEventRange(content)
	}
	return err
}
