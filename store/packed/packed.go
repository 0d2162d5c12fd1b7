// Package packed is how rows of batches and recipients are written by every store: small, quick to read, and with their format
// in the first byte, so that a later version reads what an earlier one wrote.
package packed

import (
	"encoding/binary"
	"errors"
	"time"
)

// ErrShort means that a row ends before all of it was read: it is damaged, or of another format.
var ErrShort = errors.New("row is cut short")

// Writer appends values to a row. Integers are varints; strings and byte slices carry their length.
type Writer []byte

func (p *Writer) Byte(b byte)    { *p = append(*p, b) }
func (p *Writer) Uint(v uint64)  { *p = binary.AppendUvarint(*p, v) }
func (p *Writer) Int(v int)      { *p = binary.AppendVarint(*p, int64(v)) }
func (p *Writer) Bytes(b []byte) { p.Uint(uint64(len(b))); *p = append(*p, b...) }
func (p *Writer) Text(s string)  { p.Uint(uint64(len(s))); *p = append(*p, s...) }

// Time packs milliseconds since 1970; the zero time is 0 and 1970 itself is not told from it.
func (p *Writer) Time(t time.Time) {
	if t.IsZero() {
		p.Int(0)
		return
	}
	p.Int(int(t.UnixMilli()))
}

func (p *Writer) Bool(b bool) {
	if b {
		p.Byte(1)
		return
	}
	p.Byte(0)
}

// Reader reads what a Writer wrote. After the first failure every read gives zero and Err is set. Strings are copies.
type Reader struct {
	Rest []byte
	Err  error
}

func (u *Reader) fail() {
	u.Rest, u.Err = nil, ErrShort
}

func (u *Reader) Byte() byte {
	if len(u.Rest) == 0 {
		u.fail()
		return 0
	}
	b := u.Rest[0]
	u.Rest = u.Rest[1:]
	return b
}

func (u *Reader) Uint() uint64 {
	v, n := binary.Uvarint(u.Rest)
	if n <= 0 {
		u.fail()
		return 0
	}
	u.Rest = u.Rest[n:]
	return v
}

func (u *Reader) Int() int {
	v, n := binary.Varint(u.Rest)
	if n <= 0 {
		u.fail()
		return 0
	}
	u.Rest = u.Rest[n:]
	return int(v)
}

// View returns the next byte slice without copying it.
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

func (u *Reader) Text() string { return string(u.View()) }
func (u *Reader) Bool() bool   { return u.Byte() != 0 }

// Length reads the length of a list whose entries take at least one byte each.
func (u *Reader) Length() int {
	n := u.Uint()
	if n > uint64(len(u.Rest)) {
		u.fail()
		return 0
	}
	return int(n)
}

func (u *Reader) Time() time.Time {
	ms := u.Int()
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}
