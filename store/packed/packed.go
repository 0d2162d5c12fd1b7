// Package packed encodes the rows of batches and recipients for every store. A row is compact and starts with its
// format number, so that a later version can decode rows of an earlier one.
package packed

import (
	"encoding/binary"
	"errors"
	"time"
)

// ErrShort means that an encoded row ends too early or contains an invalid value: it is damaged or has another format.
var ErrShort = errors.New("row is truncated or damaged")

// Writer is an encoded row, to which its methods append values. Integers are varints. A length precedes text and bytes.
type Writer []byte

// Byte appends b as it is.
func (p *Writer) Byte(b byte) { *p = append(*p, b) }

// Uint appends v as a varint.
func (p *Writer) Uint(v uint64) { *p = binary.AppendUvarint(*p, v) }

// Int appends a signed integer as a varint in zigzag encoding.
func (p *Writer) Int(v int) { *p = binary.AppendVarint(*p, int64(v)) }

// Bytes appends the length of b, then b.
func (p *Writer) Bytes(b []byte) { p.Uint(uint64(len(b))); *p = append(*p, b...) }

// Text appends the length of s in bytes, then s.
func (p *Writer) Text(s string) { p.Uint(uint64(len(s))); *p = append(*p, s...) }

// Time appends t as Unix milliseconds. 0 stands for the zero time, so the first millisecond of 1970 cannot be stored.
func (p *Writer) Time(t time.Time) {
	if t.IsZero() {
		p.Int(0)
		return
	}
	p.Int(int(t.UnixMilli()))
}

// Bool appends b as one byte, 0 or 1.
func (p *Writer) Bool(b bool) {
	if b {
		p.Byte(1)
		return
	}
	p.Byte(0)
}

// Reader decodes a row that a Writer encoded. After the first error, Err is set and every method returns a zero value,
// so it is enough to check Err at the end. Strings that it returns are copies.
type Reader struct {
	Rest []byte // not decoded yet
	Err  error
}

func (u *Reader) fail() {
	u.Rest, u.Err = nil, ErrShort
}

// Byte decodes the next byte.
func (u *Reader) Byte() byte {
	if len(u.Rest) == 0 {
		u.fail()
		return 0
	}
	b := u.Rest[0]
	u.Rest = u.Rest[1:]
	return b
}

// Uint decodes the next integer that Writer.Uint encoded.
func (u *Reader) Uint() uint64 {
	v, n := binary.Uvarint(u.Rest)
	if n <= 0 {
		u.fail()
		return 0
	}
	u.Rest = u.Rest[n:]
	return v
}

// Int decodes the next integer that Writer.Int encoded.
func (u *Reader) Int() int {
	v, n := binary.Varint(u.Rest)
	if n <= 0 {
		u.fail()
		return 0
	}
	u.Rest = u.Rest[n:]
	return int(v)
}

// View decodes the next byte slice without copying, so the result shares memory with the row.
func (u *Reader) View() []byte {
	n := u.Uint()
	if n > uint64(len(u.Rest)) {
		u.fail()
		return nil
	}
	b := u.Rest[:n:n]
	u.Rest = u.Rest[n:]
	return b
}

// Text decodes the next string.
func (u *Reader) Text() string { return string(u.View()) }

// Bool decodes the next byte as a truth value: false only for 0.
func (u *Reader) Bool() bool { return u.Byte() != 0 }

// Length decodes the length of a list. It sets Err if Rest is too short for so many items of at least one byte each.
func (u *Reader) Length() int {
	n := u.Uint()
	if n > uint64(len(u.Rest)) {
		u.fail()
		return 0
	}
	return int(n)
}

// Time decodes the next time that Writer.Time encoded, in UTC.
func (u *Reader) Time() time.Time {
	ms := u.Int()
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}
