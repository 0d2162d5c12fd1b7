package storetest

import (
	"bytes"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Cuts calls read, which decodes a row, with damaged rows: every proper prefix of row, which read must reject; rows
// with one changed byte and garbage after a valid format byte, for which read must not panic.
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
