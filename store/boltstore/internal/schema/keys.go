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

// These are the buckets of the database file dlrloop.db; the package comment describes their keys and rows. In the
// file, BucketDead has the older name buried, and BucketFetches the older name checks. Buckets lists the buckets that
// every database has.
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

	BucketInbound        = []byte("inbound")
	BucketInboundTimes   = []byte("inbound_times")
	BucketInboundNumbers = []byte("inbound_numbers")

	BucketEvents       = []byte("events")
	BucketDestinations = []byte("destinations")
	BucketDeferred     = []byte("deferred")

	BucketDamaged = []byte("damaged") // created when needed
	BucketMending = []byte("mending") // created when needed
	BucketScrub   = []byte("scrub")   // created when needed

	Buckets = [][]byte{
		BucketMeta, BucketIDs, BucketBatches, BucketRecipients, BucketDue, BucketDead, BucketFetches,
		BucketNumbers, BucketLog, BucketMinutes, BucketQuarantine, BucketTrash,
		BucketInbound, BucketInboundTimes, BucketInboundNumbers,
		BucketEvents, BucketDestinations, BucketDeferred,
	}
)

// These are the keys of BucketMeta. Their rows hold, in this order, the version of the database format, the Position in
// the journal, the Totals, the EventRange, and the copying.Mark (progress) of an unfinished copy.
var (
	KeyFormat   = []byte("format")
	KeyPosition = []byte("position")
	KeyTotals   = []byte("totals")
	KeyEvents   = []byte("events")
	KeyCopy     = []byte("copy") // the progress mark of an unfinished copy
)

// Number identifies a batch inside dlrloop.db. It is the Unix time in milliseconds of the batch's first arrival,
// shifted left by NumberShift. If the newest batch's number plus one is larger, it is that number. 0 means no batch.
type Number uint64

// NumberShift is how many low bits of a Number tell apart batches whose first arrivals came in the same millisecond.
const NumberShift = 20

// NumberAt returns the smallest batch number for a first arrival at t. A time before 1970 counts as 1970.
func NumberAt(t time.Time) Number { return Number(max(t.UnixMilli(), 0)) << NumberShift }

// Day returns the UTC day of the batch's first arrival, in days since 1970.
func (n Number) Day() uint32 {
	return uint32(int64(n>>NumberShift) / (24 * time.Hour).Milliseconds())
}

// Key returns n as 8 bytes, big-endian, in a new slice. The keys of the batch in BucketBatches, BucketRecipients and
// BucketLog begin with these bytes.
func (n Number) Key() []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// NumberOf returns the batch number in the first 8 bytes of a key, or 0 if the key is shorter.
func NumberOf(key []byte) Number {
	if len(key) < 8 {
		return 0
	}
	return Number(binary.BigEndian.Uint64(key))
}

// TrailingNumber returns the batch number in the last 8 bytes of an index key, or 0 if the key is shorter.
func TrailingNumber(key []byte) Number {
	if len(key) < 8 {
		return 0
	}
	return NumberOf(key[len(key)-8:])
}

// AppendPart appends s, such as a plan, a batch id or a recipient's digits, to key and returns the extended slice. If s
// has more than longest bytes, contains a zero byte or starts with the byte 0xff, AppendPart appends 0xff and the
// SHA-256 of s in hexadecimal instead.
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

// MaxDigits is the maximum length of a phone number in a key. AppendPart replaces a longer one by a hash.
const MaxDigits = 64

// Hashed reports whether AppendPart, called with the same s and longest, appends the hash of s instead of s.
func Hashed(s string, longest int) bool {
	return len(s) > longest || strings.IndexByte(s, 0) >= 0 || s != "" && s[0] == 0xff
}

// AppendPlan appends an encoded plan to key and returns the extended slice. The encoding is one byte for the length,
// then the plan or its hash (see AppendPart). Because of the length, no encoded plan is a prefix of another.
func AppendPlan(key []byte, plan string) []byte {
	part := AppendPart(nil, plan, 200)
	return append(append(key, byte(len(part))), part...)
}

// IDKey returns the key in BucketIDs for a batch's plan and id, in a new slice.
func IDKey(k store.BatchKey) []byte { return AppendPart(AppendPlan(nil, k.Plan), k.BatchID, 512) }

// RecipientKey returns the key of a recipient of batch n in BucketRecipients, in a new slice. digits are the digits of
// the recipient's phone number (see dlr.Digits).
func RecipientKey(n Number, digits string) []byte {
	return AppendRecipientKey(make([]byte, 0, 8+len(digits)+66), n, digits)
}

// AppendRecipientKey is RecipientKey without an allocation: it appends to key and returns the extended slice.
func AppendRecipientKey(key []byte, n Number, digits string) []byte {
	return AppendPart(binary.BigEndian.AppendUint64(key, uint64(n)), digits, MaxDigits)
}

// DueKey returns a new key that lists batch n in BucketDue or BucketFetches. due is the time of its next feedback
// attempt or fetch. The key holds milliseconds, and a time before 1970 counts as 1970.
func DueKey(plan string, due time.Time, n Number) []byte {
	key := binary.BigEndian.AppendUint64(AppendPlan(nil, plan), uint64(max(due.UnixMilli(), 0)))
	return binary.BigEndian.AppendUint64(key, uint64(n))
}

// DueOf returns the due time in a key of BucketDue or BucketFetches, in UTC. It panics if the key has less than 16
// bytes.
func DueOf(key []byte) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(key[len(key)-16:]))).UTC()
}

// deadKey returns the key of batch n in BucketDead, in a new slice.
func deadKey(plan string, n Number) []byte {
	return binary.BigEndian.AppendUint64(AppendPlan(nil, plan), uint64(n))
}

// NumberPrefix returns the common prefix of all keys in BucketNumbers for one recipient and one day. day is in days
// since 1970 (see Number.Day). digits are the digits of the recipient's phone number.
func NumberPrefix(day uint32, digits string) []byte {
	key := make([]byte, 0, 4+len(digits)+66+9) // 9 more, for the zero byte and the number that follow
	return append(AppendPart(binary.BigEndian.AppendUint32(key, day), digits, MaxDigits), 0)
}

// NumberKey returns the key in BucketNumbers that lists batch n for the recipient with these phone number digits.
func NumberKey(n Number, digits string) []byte {
	return binary.BigEndian.AppendUint64(NumberPrefix(n.Day(), digits), uint64(n))
}

// NumberKeyOf converts a recipient's key in BucketRecipients to the key in BucketNumbers that lists the same batch and
// recipient. The given key must have at least 8 bytes.
func NumberKeyOf(recipient []byte) []byte {
	n := NumberOf(recipient)
	return append(NumberPrefixOf(n, recipient), n.Key()...)
}

// NumberPrefixOf returns the NumberPrefix for the day of batch n and the recipient with this key in BucketRecipients.
func NumberPrefixOf(n Number, recipient []byte) []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, n.Day()), recipient[8:]...), 0)
}

// LogKey returns the key in BucketLog of one chunk (row) of batch n's report log. Position.Chunk returns chunk numbers.
func LogKey(n Number, chunk uint64) []byte { return binary.BigEndian.AppendUint64(n.Key(), chunk) }

// MinuteKey returns the key under which BucketMinutes holds the message count for one minute, plan and status.
func MinuteKey(k fold.MinuteKey) []byte {
	key := binary.BigEndian.AppendUint32(nil, uint32(max(k.Minute.Unix(), 0)/60))
	return append(AppendPlan(key, k.Plan), k.Status...)
}

// MinuteOf decodes a key of BucketMinutes. If the key holds the hash of a plan (see AppendPart), Plan is that hash. A
// key of less than 5 bytes yields the zero value.
func MinuteOf(key []byte) fold.MinuteKey {
	if len(key) < 5 {
		return fold.MinuteKey{}
	}
	minute := time.Unix(int64(binary.BigEndian.Uint32(key))*60, 0).UTC()
	plan := key[5:min(5+int(key[4]), len(key))]
	return fold.MinuteKey{Minute: minute, Plan: string(plan), Status: dlr.Status(key[5+len(plan):])}
}

// QuarantineKey returns the key of a callback in BucketQuarantine. seq is the sequence number of the callback's journal
// frame; place is the callback's index among the arrivals of the frame.
func QuarantineKey(seq uint64, place int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, seq), uint32(place))
}
