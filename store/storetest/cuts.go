package storetest

import (
	"bytes"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Cuts calls read with every beginning of row but row itself, each of which it must refuse, with rows in which one byte is
// another, and with garbage after the formats there are or were, which must do no more than fail.
func Cuts(t *rapid.T, row []byte, read func(row []byte) error) {
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
