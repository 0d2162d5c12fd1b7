package schema

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// inboundFormat is the first byte of the content of a row in BucketInbound. A row that begins with another byte has a
// format that this version cannot read.
const inboundFormat = 1

// InboundKey returns the key of an inbound message in BucketInbound, in a new slice. plan and id identify the message.
func InboundKey(plan, id string) []byte { return IDKey(store.BatchKey{Plan: plan, BatchID: id}) }

// SealInbound returns the sealed row of m, to be stored in BucketInbound under key.
func SealInbound(key []byte, m *store.InboundMessage) []byte {
	p := Unsealed(len(m.Raw) + len(m.Plan) + 32)
	p.Byte(inboundFormat)
	p.Text(m.Plan)
	p.Time(m.ArrivedAt)
	p.Bytes(m.Raw)
	return Seal(BucketInbound, key, p)
}

// DecodeInbound decodes row, the value under key in BucketInbound. Raw is a copy, and the other members of the message
// are parsed from it. DecodeInbound returns a *DamageError if row is damaged.
func DecodeInbound(key, row []byte) (store.InboundMessage, error) {
	content, err := Unseal(BucketInbound, key, row)
	if err != nil {
		return store.InboundMessage{}, err
	}
	u := packed.Reader{Rest: content}
	if format := u.Byte(); format != inboundFormat && u.Err == nil {
		return store.InboundMessage{}, Damage(BucketInbound, key,
			fmt.Errorf("inbound: row has format %d, this version reads format %d", format, inboundFormat))
	}
	var m store.InboundMessage
	m.Plan = u.Text()
	m.ArrivedAt = u.Time()
	m.Raw = []byte(u.Text())
	if u.Err != nil {
		return m, Damage(BucketInbound, key, fmt.Errorf("inbound: %w", u.Err))
	}
	c, err := dlr.Parse(m.Raw)
	if err == nil && c.Inbound == nil {
		err = errors.New("the body is a report")
	}
	if err != nil {
		return m, Damage(BucketInbound, key, fmt.Errorf("inbound: %w", err))
	}
	m.Inbound.Inbound = c.Inbound
	return m, nil
}

// InboundEntriesOf returns the entries that BucketInboundTimes and BucketInboundNumbers must hold for m. key is the key
// of m in BucketInbound.
func InboundEntriesOf(key []byte, m *store.InboundMessage) []Entry {
	entries := []Entry{{BucketInboundTimes, append(InboundTime(m.ArrivedAt), key...), nil}}
	for _, number := range []string{m.Inbound.From, m.Inbound.To} {
		if dlr.Digits(number) == "" {
			continue
		}
		e := Entry{
			BucketInboundNumbers, slices.Concat(InboundNumberPrefix(number), InboundTime(m.ArrivedAt), key), nil,
		}
		if len(entries) == 1 || !slices.Equal(entries[1].Key, e.Key) {
			entries = append(entries, e)
		}
	}
	return entries
}

// InboundTime returns the 8 bytes of t in a key of BucketInboundTimes or BucketInboundNumbers, in a new slice:
// big-endian milliseconds since 1970. A time before 1970 counts as 1970.
func InboundTime(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(max(t.UnixMilli(), 0)))
}

// InboundNumberPrefix returns the common prefix of the keys of a phone number in BucketInboundNumbers. It compares only
// the digits of number.
func InboundNumberPrefix(number string) []byte {
	return append(AppendPart(nil, dlr.Digits(number), MaxDigits), 0)
}

// InboundOf splits the part of an index key after the prefix: the time of the message, in UTC, and its key in
// BucketInbound. It returns a nil key if rest is too short.
func InboundOf(rest []byte) (at time.Time, key []byte) {
	if len(rest) < 8 {
		return time.Time{}, nil
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(rest))).UTC(), rest[8:]
}
