package boltstore

import (
	"encoding/binary"
	"errors"
	"time"
)

// errShort means that a row ends before all of it was read: it is damaged, or of another format.
var errShort = errors.New("row is cut short")

// packer appends values to a row. Integers are varints; strings and byte slices carry their length.
type packer []byte

func (p *packer) byte(b byte)     { *p = append(*p, b) }
func (p *packer) uint(v uint64)   { *p = binary.AppendUvarint(*p, v) }
func (p *packer) int(v int)       { *p = binary.AppendVarint(*p, int64(v)) }
func (p *packer) bytes(b []byte)  { p.uint(uint64(len(b))); *p = append(*p, b...) }
func (p *packer) string(s string) { p.uint(uint64(len(s))); *p = append(*p, s...) }

// time packs milliseconds since 1970; the zero time is 0 and 1970 itself is not told from it.
func (p *packer) time(t time.Time) {
	if t.IsZero() {
		p.int(0)
		return
	}
	p.int(int(t.UnixMilli()))
}

func (p *packer) bool(b bool) {
	if b {
		p.byte(1)
		return
	}
	p.byte(0)
}

// unpacker reads what packer wrote. After the first failure every read gives zero and err is set. Strings are copies.
type unpacker struct {
	rest []byte
	err  error
}

func (u *unpacker) fail() {
	u.rest, u.err = nil, errShort
}

func (u *unpacker) byte() byte {
	if len(u.rest) == 0 {
		u.fail()
		return 0
	}
	b := u.rest[0]
	u.rest = u.rest[1:]
	return b
}

func (u *unpacker) uint() uint64 {
	v, n := binary.Uvarint(u.rest)
	if n <= 0 {
		u.fail()
		return 0
	}
	u.rest = u.rest[n:]
	return v
}

func (u *unpacker) int() int {
	v, n := binary.Varint(u.rest)
	if n <= 0 {
		u.fail()
		return 0
	}
	u.rest = u.rest[n:]
	return int(v)
}

// view returns the next byte slice without copying it.
func (u *unpacker) view() []byte {
	n := u.uint()
	if n > uint64(len(u.rest)) {
		u.fail()
		return nil
	}
	b := u.rest[:n:n]
	u.rest = u.rest[n:]
	return b
}

func (u *unpacker) string() string { return string(u.view()) }
func (u *unpacker) bool() bool     { return u.byte() != 0 }

// length reads the length of a list whose entries take at least one byte each.
func (u *unpacker) length() int {
	n := u.uint()
	if n > uint64(len(u.rest)) {
		u.fail()
		return 0
	}
	return int(n)
}

func (u *unpacker) time() time.Time {
	ms := u.int()
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}
