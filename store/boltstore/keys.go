package boltstore

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// The buckets of dlrloop.db; doc.go says what is in each.
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
	bucketDamaged    = []byte("damaged") // made when it is needed, as the next
	bucketMending    = []byte("mending")

	buckets = [][]byte{
		bucketMeta, bucketIDs, bucketBatches, bucketRecipients, bucketDue, bucketBuried, bucketChecks,
		bucketNumbers, bucketLog, bucketMinutes, bucketQuarantine, bucketTrash,
	}
)

// number is a batch's number; see doc.go.
type number uint64

const numberShift = 20

// numberAt is the smallest number of a batch first heard of at t.
func numberAt(t time.Time) number { return number(max(t.UnixMilli(), 0)) << numberShift }

// day is the day the batch was first heard of, in days since 1970.
func (n number) day() uint32 {
	return uint32(int64(n>>numberShift) / (24 * time.Hour).Milliseconds())
}

func (n number) key() []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// numberOf reads the number a key begins with.
func numberOf(key []byte) number {
	if len(key) < 8 {
		return 0
	}
	return number(binary.BigEndian.Uint64(key))
}

// trailing reads the number a key ends with.
func trailing(key []byte) number {
	if len(key) < 8 {
		return 0
	}
	return numberOf(key[len(key)-8:])
}

// appendPart adds an opaque text to a key: itself, or its hash when it is long or holds a zero byte. A text that could
// pass for a hash is hashed too.
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

// maxDigits is the longest number that stands in a key as it is.
const maxDigits = 64

// hashed reports whether appendPart adds the hash of s.
func hashed(s string, longest int) bool {
	return len(s) > longest || strings.IndexByte(s, 0) >= 0 || s != "" && s[0] == 0xff
}

// appendPlan adds a plan with its length before it, so that no plan is the beginning of another.
func appendPlan(key []byte, plan string) []byte {
	part := appendPart(nil, plan, 200)
	return append(append(key, byte(len(part))), part...)
}

func idKey(k store.BatchKey) []byte { return appendPart(appendPlan(nil, k.Plan), k.BatchID, 512) }

// recipientKey is the key of a recipient.
func recipientKey(n number, digits string) []byte {
	return appendRecipientKey(make([]byte, 0, 8+len(digits)+66), n, digits)
}

func appendRecipientKey(key []byte, n number, digits string) []byte {
	return appendPart(binary.BigEndian.AppendUint64(key, uint64(n)), digits, maxDigits)
}

func dueKey(plan string, due time.Time, n number) []byte {
	key := binary.BigEndian.AppendUint64(appendPlan(nil, plan), uint64(max(due.UnixMilli(), 0)))
	return binary.BigEndian.AppendUint64(key, uint64(n))
}

// dueOf reads the due time from a key of bucket due.
func dueOf(key []byte) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(key[len(key)-16:]))).UTC()
}

func buriedKey(plan string, n number) []byte {
	return binary.BigEndian.AppendUint64(appendPlan(nil, plan), uint64(n))
}

// numberPrefix is what the keys of one recipient in one day's part of bucket numbers begin with.
func numberPrefix(day uint32, digits string) []byte {
	key := make([]byte, 0, 4+len(digits)+66+9) // 9 for what numberKey adds
	return append(appendPart(binary.BigEndian.AppendUint32(key, day), digits, maxDigits), 0)
}

func numberKey(n number, digits string) []byte {
	return binary.BigEndian.AppendUint64(numberPrefix(n.day(), digits), uint64(n))
}

func logKey(n number, chunk uint64) []byte { return binary.BigEndian.AppendUint64(n.key(), chunk) }

func minuteKey(k store.MinuteKey) []byte {
	key := binary.BigEndian.AppendUint32(nil, uint32(max(k.Minute.Unix(), 0)/60))
	return append(appendPlan(key, k.Plan), k.Status...)
}

// minuteOf reads a key of bucket minutes; the plan is right as long as it was not hashed.
func minuteOf(key []byte) store.MinuteKey {
	if len(key) < 5 {
		return store.MinuteKey{} // it is damaged
	}
	minute := time.Unix(int64(binary.BigEndian.Uint32(key))*60, 0).UTC()
	plan := key[5:min(5+int(key[4]), len(key))]
	return store.MinuteKey{Minute: minute, Plan: string(plan), Status: dlr.Status(key[5+len(plan):])}
}

func quarantineKey(seq uint64, place int) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, seq), uint32(place))
}
