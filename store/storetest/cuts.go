package storetest

import (
	"bytes"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Cuts checks that read, which decodes a row, survives damage. read must return an error for every proper prefix of
// row. It must not panic if one byte of row is changed, or if garbage follows a format byte.
func Cuts(t *rapid.T, row []byte, read func(row []byte) error) {
	for n := range row {
		require.Error(t, read(row[:n:n]), "the first %d of %d bytes", n, len(row))
	}
	place := rapid.IntRange(0, len(row)-1).Draw(t, "place")
	garbled := bytes.Clone(row)
	garbled[place] ^= rapid.ByteRange(1, 255).Draw(t, "flipped")
	require.NotPanics(t, func() { _ = read(garbled) })
	garbage := rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "garbage")
	for _, format := range []byte{0, 1, 2, 3, 4} {
		require.NotPanics(t, func() { _ = read(append([]byte{format}, garbage...)) })
	}
}
