package copying

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"
	"reflect"
	"slices"
	"time"
)

// Kind is one kind of entries, such as batches or reports, that Run counts and compares.
type Kind string

// The values of Kind, which error messages show.
const (
	Batches    Kind = "batches"
	Recipients Kind = "recipients"
	Reports    Kind = "reports"
	Minutes    Kind = "minute counts"
	Quarantine Kind = "quarantine"
	Totals     Kind = "totals"
	Inbound    Kind = "inbound messages"
)

// Kinds returns all kinds, in the order in which they are compared.
func Kinds() []Kind {
	return []Kind{Batches, Recipients, Reports, Minutes, Quarantine, Totals, Inbound}
}

// Sum describes all entries of one kind by their number and the sum of their SHA-256 hashes modulo 2^256. It does not
// depend on the order of the entries. It changes if an entry is missing, changed or duplicated.
type Sum struct {
	Count int
	Hash  [4]uint64 // least significant word first
}

func (s *Sum) add(entry []byte) {
	h := sha256.Sum256(entry)
	var carry uint64
	for i := range s.Hash {
		s.Hash[i], carry = bits.Add64(s.Hash[i], binary.LittleEndian.Uint64(h[8*i:]), carry)
	}
	s.Count++
}

// Bytes returns Hash as 32 bytes in big-endian order.
func (s Sum) Bytes() []byte {
	b := make([]byte, 0, 32)
	for i := len(s.Hash) - 1; i >= 0; i-- {
		b = binary.BigEndian.AppendUint64(b, s.Hash[i])
	}
	return b
}

// Sums holds the sum of each kind of entries in a store.
type Sums map[Kind]Sum

// summing computes the Sums of a store from its pieces.
type summing struct {
	sums map[Kind]*Sum
	buf  []byte
}

func newSumming() *summing {
	s := &summing{sums: make(map[Kind]*Sum)}
	for _, k := range Kinds() {
		s.sums[k] = new(Sum)
	}
	return s
}

func (s *summing) result() Sums {
	all := make(Sums, len(s.sums))
	for k, sum := range s.sums {
		all[k] = *sum
	}
	return all
}

// entry adds one entry to the sum of kind k. members are all values that the entry consists of.
func (s *summing) entry(k Kind, members ...any) {
	s.buf = s.buf[:0]
	for _, m := range members {
		s.buf = canonical(s.buf, reflect.ValueOf(m))
	}
	s.sums[k].add(s.buf)
}

func (s *summing) piece(p Piece) {
	for _, part := range p.Parts {
		if part.Batch != nil {
			s.entry(Batches, part.Batch)
		}
		for i := range part.Recipients {
			s.entry(Recipients, &part.Key, &part.Recipients[i])
		}
		for _, c := range part.Log {
			for i := range c.Reports {
				s.entry(Reports, &part.Key, c.Number, i, &c.Reports[i])
			}
		}
	}
	for i := range p.Minutes {
		s.entry(Minutes, &p.Minutes[i])
	}
	for i := range p.Quarantine {
		s.entry(Quarantine, &p.Quarantine[i])
	}
	for i := range p.Totals {
		s.entry(Totals, &p.Totals[i])
	}
	for i := range p.Inbound {
		s.entry(Inbound, &p.Inbound[i])
	}
}

// canonical appends an encoding of v that depends only on the value, not on the store: a time as milliseconds, an empty
// list or map like nil, a map sorted by key. It finds struct fields by reflection, so that a new field is included
// without a change here.
func canonical(buf []byte, v reflect.Value) []byte {
	if t, ok := reflect.TypeAssert[time.Time](v); ok {
		if t.IsZero() {
			return binary.AppendVarint(buf, 0)
		}
		return binary.AppendVarint(buf, t.UnixMilli())
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return append(buf, 0)
		}
		return canonical(append(buf, 1), v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			buf = canonical(buf, v.Field(i))
		}
		return buf
	case reflect.String:
		return append(binary.AppendUvarint(buf, uint64(v.Len())), v.String()...)
	case reflect.Slice:
		buf = binary.AppendUvarint(buf, uint64(v.Len()))
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return append(buf, v.Bytes()...)
		}
		return elements(buf, v)
	case reflect.Array:
		return elements(buf, v)
	case reflect.Map:
		return entries(buf, v)
	case reflect.Bool:
		if v.Bool() {
			return append(buf, 1)
		}
		return append(buf, 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return binary.AppendVarint(buf, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return binary.AppendUvarint(buf, v.Uint())
	default:
		panic(fmt.Sprintf("copying: a row has a member of type %s", v.Type()))
	}
}

func elements(buf []byte, v reflect.Value) []byte {
	for i := range v.Len() {
		buf = canonical(buf, v.Index(i))
	}
	return buf
}

func entries(buf []byte, v reflect.Value) []byte {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
	buf = binary.AppendUvarint(buf, uint64(len(keys)))
	for _, k := range keys {
		buf = canonical(canonical(buf, k), v.MapIndex(k))
	}
	return buf
}

// MismatchError means that source and destination differ in the entries of one kind.
type MismatchError struct {
	Kind                Kind
	Source, Destination Sum
}

func (e MismatchError) Error() string {
	if e.Source.Count != e.Destination.Count {
		return fmt.Sprintf(
			"verify: %s: the source has %d entries, the destination %d",
			e.Kind,
			e.Source.Count,
			e.Destination.Count,
		)
	}
	return fmt.Sprintf("verify: %s: source and destination both have %d entries, but they differ", e.Kind, e.Source.Count)
}

// compare returns a MismatchError for the first kind whose sums differ, or nil.
func compare(source, destination Sums) error {
	for _, k := range Kinds() {
		if source[k] != destination[k] {
			return MismatchError{k, source[k], destination[k]}
		}
	}
	return nil
}
