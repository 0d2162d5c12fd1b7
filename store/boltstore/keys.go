package boltstore

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// The buckets of dlrloop.db. The package comment describes their content.
var (
	bucketMeta       = []byte("meta")
	bucketIDs        = []byte("ids")
	bucketBatches    = []byte("batches")
	bucketRecipients = []byte("recipients")
	bucketDue        = []byte("due")
	bucketBuried     = []byte("buried")
	bucketChecks     = []byte("checks")
	bucketNumbers    = []byte("numbers")
	bucketLog        = []byte("log")
	bucketMinutes    = []byte("minutes")
	bucketQuarantine = []byte("quarantine")
	bucketTrash      = []byte("trash")
	bucketDamaged    = []byte("damaged") // created when needed
	bucketMending    = []byte("mending") // created when needed

	buckets = [][]byte{
		bucketMeta, bucketIDs, bucketBatches, bucketRecipients, bucketDue, bucketBuried, bucketChecks,
		bucketNumbers, bucketLog, bucketMinutes, bucketQuarantine, bucketTrash,
	}
)

// number is a batch's number; the package comment describes it.
type number uint64

const numberShift = 20

// numberAt returns the smallest batch number for a first arrival at t.
func numberAt(t time.Time) number { return number(max(t.UnixMilli(), 0)) << numberShift }

// day returns the day of the batch's first arrival, in days since 1970 (UTC).
func (n number) day() uint32 {
	return uint32(int64(n>>numberShift) / (24 * time.Hour).Milliseconds())
}

func (n number) key() []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// numberOf returns the number at the start of a key, or 0 if the key is too short.
func numberOf(key []byte) number {
	if len(key) < 8 {
		return 0
	}
	return number(binary.BigEndian.Uint64(key))
}

// trailing returns the number at the end of a key, or 0 if the key is too short.
func trailing(key []byte) number {
	if len(key) < 8 {
		return 0
	}
	return numberOf(key[len(key)-8:])
}

// appendPart appends an opaque text to a key. It appends the text's hash instead if the text is longer than longest,
// contains a zero byte, or starts like a hash.
func appendPart(key []byte, s string, longest int) []byte {
	if !hashed(s, longest) {
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

// maxDigits is the length up to which a recipient's digits are stored in a key unhashed.
const maxDigits = 64

// hashed reports whether appendPart appends the hash of s.
func hashed(s string, longest int) bool {
	return len(s) > longest || strings.IndexByte(s, 0) >= 0 || s != "" && s[0] == 0xff
}

// appendPlan appends the plan's length and the plan, so that no plan is a prefix of another.
func appendPlan(key []byte, plan string) []byte {
	part := appendPart(nil, plan, 200)
	return append(append(key, byte(len(part))), part...)
}

// idKey returns the key of a batch in bucket ids.
func idKey(k store.BatchKey) []byte { return appendPart(appendPlan(nil, k.Plan), k.BatchID, 512) }

// recipientKey returns the key of a recipient in bucket recipients.
func recipientKey(n number, digits string) []byte {
	return appendRecipientKey(make([]byte, 0, 8+len(digits)+66), n, digits)
}

func appendRecipientKey(key []byte, n number, digits string) []byte {
	return appendPart(binary.BigEndian.AppendUint64(key, uint64(n)), digits, maxDigits)
}

// dueKey returns the key of a batch in bucket due or checks.
func dueKey(plan string, due time.Time, n number) []byte {
	key := binary.BigEndian.AppendUint64(appendPlan(nil, plan), uint64(max(due.UnixMilli(), 0)))
	return binary.BigEndian.AppendUint64(key, uint64(n))
}

// dueOf returns the time in a key of bucket due or checks.
func dueOf(key []byte) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(key[len(key)-16:]))).UTC()
}

// buriedKey returns the key of a batch in bucket buried.
func buriedKey(plan string, n number) []byte {
	return binary.BigEndian.AppendUint64(appendPlan(nil, plan), uint64(n))
}

// numberPrefix returns the common prefix of a recipient's keys of one day in bucket numbers.
func numberPrefix(day uint32, digits string) []byte {
	key := make([]byte, 0, 4+len(digits)+66+9) // 9 more, for the zero byte and the number that follow
	return append(appendPart(binary.BigEndian.AppendUint32(key, day), digits, maxDigits), 0)
}

// numberKey returns the key of a recipient's batch in bucket numbers.
func numberKey(n number, digits string) []byte {
	return binary.BigEndian.AppendUint64(numberPrefix(n.day(), digits), uint64(n))
}

// logKey returns the key of a chunk in bucket log.
func logKey(n number, chunk uint64) []byte { return binary.BigEndian.AppendUint64(n.key(), chunk) }

// minuteKey returns the key of a count in bucket minutes.
func minuteKey(k store.MinuteKey) []byte {
	key := binary.BigEndian.AppendUint32(nil, uint32(max(k.Minute.Unix(), 0)/60))
	return append(appendPlan(key, k.Plan), k.Status...)
}

// minuteOf decodes a key of bucket minutes. If the plan is hashed in the key, the result holds the hash. A key that is
// too short yields the zero value.
func minuteOf(key []byte) store.MinuteKey {
	if len(key) < 5 {
		return store.MinuteKey{}
	}
	minute := time.Unix(int64(binary.BigEndian.Uint32(key))*60, 0).UTC()
	plan := key[5:min(5+int(key[4]), len(key))]
	return store.MinuteKey{Minute: minute, Plan: string(plan), Status: dlr.Status(key[5+len(plan):])}
}

// quarantineKey returns the key of a callback in bucket quarantine; place is its index in the frame.
func quarantineKey(seq uint64, place int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, seq), uint32(place))
}
