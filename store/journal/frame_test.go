package journal

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var testSalt = Salt{1, 2, 3, 4, 5, 6, 7, 8}

// sealed returns a frame with this body as it is stored in a segment.
func sealed(seq uint64, arrivals int, body []byte) []byte {
	return sealFrame(append(Begin(nil), body...), testSalt, seq, arrivals)
}

func TestFrameRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seq, arrivals := rapid.Uint64().Draw(t, "seq"), int(rapid.Uint32().Draw(t, "arrivals"))
		body := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "body")
		before := make([]byte, 8*rapid.IntRange(0, 4).Draw(t, "place"))
		segment := append(append(before, sealed(seq, arrivals, body)...), 0xaa)

		f, ok := readFrame(segment, len(before), testSalt)
		require.True(t, ok)
		require.Equal(t, frame{seq: seq, arrivals: arrivals, offset: len(before), body: f.body}, f)
		require.True(t, bytes.Equal(body, f.body))
		require.Equal(t, len(segment)-1, f.end())
		require.Zero(t, f.end()%frameAlign)

		_, ok = readFrame(segment, len(before), Salt{9})
		require.False(t, ok, "salt of another journal")
		_, ok = readFrame(segment[:len(before)+frameHeader+len(body)-1], len(before), testSalt)
		require.False(t, ok, "truncated")
	})
}

func TestDamagedFrameIsNotRead(t *testing.T) {
	body := []byte("what was acknowledged")
	whole := sealed(7, 1, body)
	for place := range frameHeader + len(body) {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			damaged := bytes.Clone(whole)
			damaged[place] ^= flip
			_, ok := readFrame(damaged, 0, testSalt)
			require.False(t, ok, "byte %d", place)
		}
	}
}

func TestZerosAndGarbageAreNotFrames(t *testing.T) {
	_, ok := readFrame(make([]byte, 4096), 512, testSalt)
	require.False(t, ok)
	_, ok = readFrame(nil, 0, testSalt)
	require.False(t, ok)
	rapid.Check(t, func(t *rapid.T) {
		magic := bytes.Clone(sealed(1, 1, nil)[:4])
		garbage := append(magic, rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "garbage")...)
		_, ok := readFrame(garbage, 0, testSalt)
		require.False(t, ok)
	})
}

func TestSegmentIsCreatedWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, segmentName(1))
	s, err := createSegment(path, 3<<20+8, testSalt)
	require.NoError(t, err)
	require.NoError(t, s.file.Close())

	s, content, salt, err := openSegment(path, nil)
	require.NoError(t, err)
	require.NoError(t, s.file.Close())
	require.Equal(t, testSalt, salt)
	require.Len(t, content, 3<<20+8)
	require.Equal(t, len(content), s.size)
	zeros := make([]byte, len(content)-segmentHeader)
	require.Equal(t, zeros, content[segmentHeader:], "a new segment is full of zeros")

	_, err = createSegment(filepath.Join(dir, "no such dir", segmentName(1)), 1024, testSalt)
	require.ErrorContains(t, err, "create journal segment")
	require.NoError(t, os.Mkdir(filepath.Join(dir, segmentName(2)), 0o700))
	_, err = createSegment(filepath.Join(dir, segmentName(2)), 1024, testSalt)
	require.Error(t, err)
	require.NoFileExists(t, filepath.Join(dir, segmentName(2)+".new"))
}
