package boltstore

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// anyTime draws a time as the store keeps it: UTC, whole milliseconds, after 1970, or zero.
func anyTime() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		ms := rapid.Int64Range(0, 253402300799999).Draw(t, "milliseconds")
		if ms == 0 {
			return time.Time{}
		}
		return time.UnixMilli(ms).UTC()
	})
}

// anyText draws a text of any bytes, among them what keys treat apart.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringN(0, 20, -1),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 100), func(b []byte) string { return string(b) }),
		rapid.SampledFrom([]string{"", "\x00", "a\x00b", "\xff", "\xffdeadbeef", "447700900001"}),
	)
}

func anyStatus() *rapid.Generator[dlr.Status] {
	return rapid.OneOf(
		rapid.SampledFrom(dlr.Statuses()),
		rapid.Map(anyText(), func(s string) dlr.Status { return dlr.Status(s) }),
	)
}

func anySource() *rapid.Generator[store.Source] {
	return rapid.SampledFrom([]store.Source{store.FromCallback, store.FromPoll, store.FromGateway, store.FromRegistration})
}

func anyRef() *rapid.Generator[store.Ref] {
	return rapid.Custom(func(t *rapid.T) store.Ref {
		return store.Ref{Chunk: rapid.Uint64().Draw(t, "chunk"), Index: rapid.Uint64().Draw(t, "index")}
	})
}

func TestPackedValuesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number, small, text := rapid.Uint64().Draw(t, "uint"), rapid.Int().Draw(t, "int"), anyText().Draw(t, "text")
		at, near := anyTime().Draw(t, "time"), anyTime().Draw(t, "near")
		yes, one := rapid.Bool().Draw(t, "bool"), rapid.Byte().Draw(t, "byte")
		status, ref := anyStatus().Draw(t, "status"), anyRef().Draw(t, "ref")

		var p packer
		p.uint(number)
		p.int(small)
		p.string(text)
		p.time(at)
		p.near(near, at)
		p.bool(yes)
		p.byte(one)
		p.status(status)
		p.ref(ref)
		p.bytes([]byte(text))

		u := unpacker{rest: p}
		require.Equal(t, number, u.uint())
		require.Equal(t, small, u.int())
		require.Equal(t, text, u.string())
		require.Equal(t, at, u.time())
		require.Equal(t, near, u.near(at))
		require.Equal(t, yes, u.bool())
		require.Equal(t, one, u.byte())
		require.Equal(t, status, u.status())
		require.Equal(t, ref, u.ref())
		require.Equal(t, text, string(u.view()))
		require.NoError(t, u.err)
		require.Empty(t, u.rest)
	})
}

func TestUnpackingFailsForGoodAtTheFirstFailure(t *testing.T) {
	for name, row := range map[string][]byte{
		"nothing":                nil,
		"a varint without end":   bytes.Repeat([]byte{0x80}, 9),
		"a varint of 80 bits":    bytes.Repeat([]byte{0xff}, 12),
		"a text longer than all": {5, 'a', 'b'},
		"a text of 2^63 bytes":   append(appendUvarint(math.MaxInt64), 'a'),
	} {
		t.Run(name, func(t *testing.T) {
			u := unpacker{rest: row}
			require.Empty(t, u.view())
			require.ErrorIs(t, u.err, errShort)
			require.Zero(t, u.uint())
			require.Zero(t, u.int())
			require.Zero(t, u.byte())
			require.Zero(t, u.length())
			require.True(t, u.time().IsZero())
			require.Empty(t, u.rest)
		})
	}
}

func appendUvarint(v uint64) []byte {
	var p packer
	p.uint(v)
	return p
}

// cuts calls read with every beginning of row but row itself, and with rows in which one byte is another.
func cuts(t *rapid.T, row []byte, read func(row []byte) error) {
	for n := range row {
		require.Error(t, read(row[:n:n]), "the first %d of %d bytes", n, len(row))
	}
	place := rapid.IntRange(0, len(row)-1).Draw(t, "place")
	garbled := bytes.Clone(row)
	garbled[place] ^= rapid.ByteRange(1, 255).Draw(t, "flipped")
	require.NotPanics(t, func() { _ = read(garbled) })
	garbage := rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "garbage")
	for _, format := range []byte{rowFormat, batchFormat} {
		require.NotPanics(t, func() { _ = read(append([]byte{format}, garbage...)) })
	}
}
