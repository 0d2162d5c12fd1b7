package schema

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/fold"
)

// The buckets of dlrloop.db, by their stored names; "buried" and "checks" are older words. The package comment lists the
// keys and rows of each. Buckets lists those that every database has.
var (
	BucketMeta       = []byte("meta")
	BucketIDs        = []byte("ids")
	BucketBatches    = []byte("batches")
	BucketRecipients = []byte("recipients")
	BucketDue        = []byte("due")
	BucketDead       = []byte("buried")
	BucketFetches    = []byte("checks")
	BucketNumbers    = []byte("numbers")
	BucketLog        = []byte("log")
	BucketMinutes    = []byte("minutes")
	BucketQuarantine = []byte("quarantine")
	BucketTrash      = []byte("trash")
	BucketDamaged    = []byte("damaged") // created when needed
	BucketMending    = []byte("mending") // created when needed

	Buckets = [][]byte{
		BucketMeta, BucketIDs, BucketBatches, BucketRecipients, BucketDue, BucketDead, BucketFetches,
		BucketNumbers, BucketLog, BucketMinutes, BucketQuarantine, BucketTrash,
	}
)

// Keys of bucket meta.
var (
	KeyFormat   = []byte("format")
	KeyPosition = []byte("position")
	KeyTotals   = []byte("totals")
	KeyCopy     = []byte("copy") // the progress mark of an unfinished copy
)

// Number is a batch's number; the package comment describes it.
type Number uint64

// NumberShift is the number of bits of a Number below the Unix time in milliseconds.
const NumberShift = 20

// NumberAt returns the smallest batch number for a first arrival at t.
func NumberAt(t time.Time) Number { return Number(max(t.UnixMilli(), 0)) << NumberShift }

// Day returns the day of the batch's first arrival, in days since 1970 (UTC).
func (n Number) Day() uint32 {
	return uint32(int64(n>>NumberShift) / (24 * time.Hour).Milliseconds())
}

// Key returns n as 8 bytes, big-endian: the prefix of all keys of the batch.
func (n Number) Key() []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// NumberOf returns the number at the start of a key, or 0 if the key is too short.
func NumberOf(key []byte) Number {
	if len(key) < 8 {
		return 0
	}
	return Number(binary.BigEndian.Uint64(key))
}

// TrailingNumber returns the number at the end of a key, or 0 if the key is too short.
func TrailingNumber(key []byte) Number {
	if len(key) < 8 {
		return 0
	}
	return NumberOf(key[len(key)-8:])
}

// AppendPart appends an opaque text to a key. It appends the text's hash instead if the text is longer than longest,
// contains a zero byte, or starts like a hash.
func AppendPart(key []byte, s string, longest int) []byte {
	if !Hashed(s, longest) {
		return append(key, s...)
	}
	sum := sha256.Sum256([]byte(s))
	const hex = "0123456789abcdef"
	key = append(key, 0xff)
	for _, b := range sum {
		key = append(key, hex[b>>4], hex[b&15])
	}
	return key
}

// MaxDigits is the length up to which a recipient's digits are stored in a key unhashed.
const MaxDigits = 64

// Hashed reports whether AppendPart appends the hash of s.
func Hashed(s string, longest int) bool {
	return len(s) > longest || strings.IndexByte(s, 0) >= 0 || s != "" && s[0] == 0xff
}

// AppendPlan appends the plan's length and the plan, so that no plan is a prefix of another.
func AppendPlan(key []byte, plan string) []byte {
	part := AppendPart(nil, plan, 200)
	return append(append(key, byte(len(part))), part...)
}

// IDKey returns the key of a batch in bucket ids.
func IDKey(k store.BatchKey) []byte { return AppendPart(AppendPlan(nil, k.Plan), k.BatchID, 512) }

// RecipientKey returns the key of a recipient in bucket recipients.
func RecipientKey(n Number, digits string) []byte {
	return AppendRecipientKey(make([]byte, 0, 8+len(digits)+66), n, digits)
}

// AppendRecipientKey appends the key of a recipient in bucket recipients to key.
func AppendRecipientKey(key []byte, n Number, digits string) []byte {
	return AppendPart(binary.BigEndian.AppendUint64(key, uint64(n)), digits, MaxDigits)
}

// DueKey returns the key of a batch in BucketDue or BucketFetches.
func DueKey(plan string, due time.Time, n Number) []byte {
	key := binary.BigEndian.AppendUint64(AppendPlan(nil, plan), uint64(max(due.UnixMilli(), 0)))
	return binary.BigEndian.AppendUint64(key, uint64(n))
}

// DueOf returns the time in a key of bucket due or checks.
func DueOf(key []byte) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(key[len(key)-16:]))).UTC()
}

// deadKey returns the key of a batch in BucketDead.
func deadKey(plan string, n Number) []byte {
	return binary.BigEndian.AppendUint64(AppendPlan(nil, plan), uint64(n))
}

// NumberPrefix returns the common prefix of a recipient's keys of one day in bucket numbers.
func NumberPrefix(day uint32, digits string) []byte {
	key := make([]byte, 0, 4+len(digits)+66+9) // 9 more, for the zero byte and the number that follow
	return append(AppendPart(binary.BigEndian.AppendUint32(key, day), digits, MaxDigits), 0)
}

// NumberKey returns the key of a recipient's batch in bucket numbers.
func NumberKey(n Number, digits string) []byte {
	return binary.BigEndian.AppendUint64(NumberPrefix(n.Day(), digits), uint64(n))
}

// NumberKeyOf returns the key in bucket numbers for a key of bucket recipients.
func NumberKeyOf(recipient []byte) []byte {
	n := NumberOf(recipient)
	return append(NumberPrefixOf(n, recipient), n.Key()...)
}

// NumberPrefixOf returns what NumberPrefix returns, for the recipient with this key of bucket recipients.
func NumberPrefixOf(n Number, recipient []byte) []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, n.Day()), recipient[8:]...), 0)
}

// LogKey returns the key of a chunk in bucket log.
func LogKey(n Number, chunk uint64) []byte { return binary.BigEndian.AppendUint64(n.Key(), chunk) }

// MinuteKey returns the key of a count in bucket minutes.
func MinuteKey(k fold.MinuteKey) []byte {
	key := binary.BigEndian.AppendUint32(nil, uint32(max(k.Minute.Unix(), 0)/60))
	return append(AppendPlan(key, k.Plan), k.Status...)
}

// MinuteOf decodes a key of bucket minutes. If the plan is hashed in the key, the result holds the hash. A key that is
// too short yields the zero value.
func MinuteOf(key []byte) fold.MinuteKey {
	if len(key) < 5 {
		return fold.MinuteKey{}
	}
	minute := time.Unix(int64(binary.BigEndian.Uint32(key))*60, 0).UTC()
	plan := key[5:min(5+int(key[4]), len(key))]
	return fold.MinuteKey{Minute: minute, Plan: string(plan), Status: dlr.Status(key[5+len(plan):])}
}

// QuarantineKey returns the key of a callback in bucket quarantine; place is its index in the frame.
func QuarantineKey(seq uint64, place int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, seq), uint32(place))
}
