package boltstore

import (
	"bytes"
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
	for _, format := range []byte{0, 1, 2} {
		require.NotPanics(t, func() { _ = read(append([]byte{format}, garbage...)) })
	}
}
