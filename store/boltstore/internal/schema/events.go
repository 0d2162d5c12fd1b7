package schema

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// A row of BucketEvents has at most MaxEvents events. It ends before the event with which it would exceed MaxEventBytes
// uncompressed bytes, so a larger event has a row of its own.
const (
	MaxEvents     = 512
	MaxEventBytes = 256 << 10
)

// eventDictionary is the zstd dictionary of the event log: bytes that are typical of encoded events. Like dictionary,
// it is part of the format.
const eventDictionary = `{"type":"mo_text","id":"01","from":"447700900","to":"","body":"","operator_id":"","sent_at":` +
	`"2026-01-01T00:00:00.000Z","received_at":"2026-01-01T00:00:00.000Z"}` +
	`{"type":"delivery_report_sms","batch_id":"01","total_message_count":1,"statuses":[{"code":0,"status":"Delivered",` +
	`"count":1,"recipients":["447700900"]}],"client_reference":""}` +
	`{"type":"recipient_delivery_report_sms","batch_id":"01","recipient":"447700900","code":0,"status":"Delivered",` +
	`"at":"2026-01-01T00:00:00.000Z","operator_status_at":"2026-01-01T00:00:00Z","client_reference":"",` +
	`"applied_originator":"","encoding":"GSM","number_of_message_parts":1,"operator":"310260"}` +
	"HmacSHA256\x1a01FC66621XXXXX119Z8PMV1QPQ\x00\x00\x0d+447700900001\x0c447700900001"

const eventDictionaryID = 2

// EventRange describes the event log. Its events have consecutive sequence numbers, beginning with 1.
type EventRange struct {
	First uint64 // the oldest event that is kept; Next if none is
	Next  uint64 // the number of the next event
	Epoch int64  // the largest epoch of a deleted destination; 0 if none was deleted
}

// ReadEventRange returns the EventRange that the database stores. A new database stores none, and the result is that of
// an empty log. A damaged row is a *DamageError.
func ReadEventRange(tx *bolt.Tx) (EventRange, error) {
	row := tx.Bucket(BucketMeta).Get(KeyEvents)
	if row == nil {
		if key, _ := tx.Bucket(BucketEvents).Cursor().First(); key != nil {
			return EventRange{}, Damage(BucketMeta, KeyEvents, errors.New("it is missing"))
		}
		return EventRange{First: 1, Next: 1}, nil
	}
	content, err := Unseal(BucketMeta, KeyEvents, row)
	if err != nil {
		return EventRange{}, err
	}
	return decodeEventRange(content)
}

func decodeEventRange(content []byte) (r EventRange, err error) {
	if len(content) != 24 {
		return r, Damage(BucketMeta, KeyEvents, errors.New("its length is wrong"))
	}
	r.First = binary.BigEndian.Uint64(content)
	r.Next = binary.BigEndian.Uint64(content[8:])
	r.Epoch = int64(binary.BigEndian.Uint64(content[16:]))
	return r, nil
}

// Save stores r in BucketMeta. The transaction must be writable.
func (r EventRange) Save(tx *bolt.Tx) error {
	p := binary.BigEndian.AppendUint64(Unsealed(24), r.First)
	p = binary.BigEndian.AppendUint64(p, r.Next)
	p = binary.BigEndian.AppendUint64(p, uint64(r.Epoch))
	return tx.Bucket(BucketMeta).Put(KeyEvents, Seal(BucketMeta, KeyEvents, p))
}

// EventKey returns the key in BucketEvents of a row whose first event has the sequence number seq, in a new slice.
func EventKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// EventRow is a row of BucketEvents whose checksum matched. Its events are still compressed.
type EventRow struct {
	First  uint64    // the sequence number of its first event
	Count  int       // how many events it has; at least 1
	Newest time.Time // the latest Event.At in it

	key, events []byte
}

// End returns the sequence number after the last event of the row.
func (r EventRow) End() uint64 { return r.First + uint64(r.Count) }

// OpenEvents verifies row, the value under key in BucketEvents, without decompressing its events. It keeps a reference
// to the memory of key and row. A damaged row is a *DamageError.
func OpenEvents(key, row []byte) (EventRow, error) {
	content, err := Unseal(BucketEvents, key, row)
	if err != nil {
		return EventRow{}, err
	}
	u := packed.Reader{Rest: content}
	r := EventRow{key: key}
	r.Count = int(u.Uint())
	r.Newest = u.Time()
	r.events = u.Rest
	if u.Err == nil && (len(key) != 8 || r.Count < 1 || r.Count > MaxEvents) {
		u.Err = errors.New("its key or its number of events is wrong")
	}
	if u.Err != nil {
		return EventRow{}, Damage(BucketEvents, key, fmt.Errorf("events: %w", u.Err))
	}
	r.First = binary.BigEndian.Uint64(key)
	return r, nil
}

// Events decompresses the events of the row, in order. The decoder comes from NewDecompressor. The events share one new
// buffer, not the memory of the row. Damage is a *DamageError.
func (r EventRow) Events(d *zstd.Decoder) ([]store.Event, error) {
	plain, err := d.DecodeAll(r.events, nil)
	if err != nil {
		return nil, Damage(BucketEvents, r.key, fmt.Errorf("events: %w", err))
	}
	events, err := packed.DecodeEvents(plain)
	if err == nil && len(events) != r.Count {
		err = fmt.Errorf("events: it holds %d, not %d", len(events), r.Count)
	}
	if err != nil {
		return nil, Damage(BucketEvents, r.key, err)
	}
	return events, nil
}

// EventCompressor makes the rows of BucketEvents. It must not be used concurrently.
type EventCompressor struct {
	*zstd.Encoder
	plain packed.Writer // buffer for the events of one row
}

// NewEventCompressor returns an EventCompressor. It fails only if zstd rejects the options. It takes little memory
// until its first use.
func NewEventCompressor() (*EventCompressor, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(true), zstd.WithEncoderDictRaw(eventDictionaryID, []byte(eventDictionary)))
	return &EventCompressor{Encoder: e}, err
}

// Pack compresses events, at least one and at most MaxEvents, into one row with a checksum, to be stored in
// BucketEvents under key. The row is a new slice, and the EventCompressor keeps no reference to events.
func (c *EventCompressor) Pack(key []byte, events []store.Event) []byte {
	newest := events[0].At
	for i := range events {
		if events[i].At.After(newest) {
			newest = events[i].At
		}
	}
	p := packed.AppendEvents(c.plain[:0], events)
	if c.plain = p; cap(p) > maxPlain {
		c.plain = nil
	}
	row := Unsealed(len(p)/4 + 64)
	row.Uint(uint64(len(events)))
	row.Time(newest)
	return Seal(BucketEvents, key, c.EncodeAll(p, row))
}

// EventBytes estimates how many bytes the event e has in a row before compression.
func EventBytes(e *store.Event) int {
	n := 48 + len(e.Plan) + len(e.BatchID) + len(e.Key) + len(e.ClientReference) + len(e.Number) + len(e.Detail) +
		len(e.Raw) + 16*len(e.Counts) + 16*len(e.Recipients)
	if g := e.Signature; g != nil {
		n += len(g.Algorithm) + len(g.Nonce) + len(g.Timestamp) + len(g.Value)
	}
	return n
}
