// Package packed encodes the rows of batches and recipients for every store. A row is compact and starts with its
// format number, so that a later version can decode rows of an earlier one.
package packed

import (
	"encoding/binary"
	"errors"
	"time"
)

// ErrShort means that a row ends too early or contains an invalid value. It is damaged or has another format.
var ErrShort = errors.New("row is truncated or damaged")

// Writer appends values to a row. Integers are varints; strings and byte slices are prefixed with their length.
type Writer []byte

// Byte appends b.
func (p *Writer) Byte(b byte) { *p = append(*p, b) }

// Uint appends v as a varint.
func (p *Writer) Uint(v uint64) { *p = binary.AppendUvarint(*p, v) }

// Int appends v as a varint in zigzag encoding.
func (p *Writer) Int(v int) { *p = binary.AppendVarint(*p, int64(v)) }

// Bytes appends the length of b and b.
func (p *Writer) Bytes(b []byte) { p.Uint(uint64(len(b))); *p = append(*p, b...) }

// Text appends the length of s in bytes and s.
func (p *Writer) Text(s string) { p.Uint(uint64(len(s))); *p = append(*p, s...) }

// Time appends t as Unix milliseconds. The zero time is 0, so the first millisecond of 1970 cannot be stored.
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

// Reader decodes what a Writer encoded. After the first error, Err is set and every method returns zero. Strings are
// copies.
type Reader struct {
	Rest []byte // not decoded yet
	Err  error
}

func (u *Reader) fail() {
	u.Rest, u.Err = nil, ErrShort
}

// Byte returns the next byte.
func (u *Reader) Byte() byte {
	if len(u.Rest) == 0 {
		u.fail()
		return 0
	}
	b := u.Rest[0]
	u.Rest = u.Rest[1:]
	return b
}

// Uint returns the next integer, encoded by Writer.Uint.
func (u *Reader) Uint() uint64 {
	v, n := binary.Uvarint(u.Rest)
	if n <= 0 {
		u.fail()
		return 0
	}
	u.Rest = u.Rest[n:]
	return v
}

// Int returns the next integer, encoded by Writer.Int.
func (u *Reader) Int() int {
	v, n := binary.Varint(u.Rest)
	if n <= 0 {
		u.fail()
		return 0
	}
	u.Rest = u.Rest[n:]
	return int(v)
}

// View returns the next byte slice without copying. It shares memory with Rest.
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

// Text returns the next string.
func (u *Reader) Text() string { return string(u.View()) }

// Bool returns the next byte as a truth value: false only for 0.
func (u *Reader) Bool() bool { return u.Byte() != 0 }

// Length returns the length of a list whose entries take at least one byte each. It fails if Rest is too short for
// it.
func (u *Reader) Length() int {
	n := u.Uint()
	if n > uint64(len(u.Rest)) {
		u.fail()
		return 0
	}
	return int(n)
}

// Time returns the next time, encoded by Writer.Time, in UTC.
func (u *Reader) Time() time.Time {
	ms := u.Int()
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}
