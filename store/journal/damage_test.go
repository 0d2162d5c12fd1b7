package journal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// files is the content of a journal's directory, by file name.
type files map[string][]byte

// readFiles reads all files of a directory.
func readFiles(t *testing.T, dir string) files {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	f := make(files)
	for _, e := range entries {
		f[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
	}
	return f
}

// with returns a copy of f with a file added or replaced.
func (f files) with(name string, content []byte) files {
	changed := maps.Clone(f)
	changed[name] = content
	return changed
}

// without returns a copy of f without a file.
func (f files) without(name string) files {
	changed := maps.Clone(f)
	delete(changed, name)
	return changed
}

// open writes f to a new directory and opens the journal there.
func (f files) open(t *testing.T, folded Position) (*Journal, []frame, error) {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	require.NoError(t, err)
	for name, content := range f {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	j, tail, err := readJournal(dir, folded, smallJournal)
	if err == nil {
		t.Cleanup(func() { require.NoError(t, j.Close()) })
	}
	return j, tail, err
}

// someFrames returns a journal with frames of 100 bytes, three in each segment.
func someFrames(t *testing.T, frames int) (files, *Journal) {
	t.Helper()
	c := smallJournal
	c.Limit = 1 << 20
	j := newJournal(t, c)
	for range frames {
		appendTo(t, j, 100)
	}
	return readFiles(t, j.dir), j
}

const frameOf100 = frameHeader + 100 + 4 // size of such a frame, with padding

func TestTornLastFrameIsDropped(t *testing.T) {
	for _, frames := range []int{2, 3, 4} { // the torn frame is in the middle, at the end, at the start of a segment
		whole, made := someFrames(t, frames)
		name := segmentName((frames + 2) / 3)
		begin := segmentHeader + (frames-1)%3*frameOf100
		torn := map[string][]byte{}
		for n := range frameHeader + 100 {
			zeroed := bytes.Clone(whole[name])
			clear(zeroed[begin+n : begin+frameOf100])
			torn[fmt.Sprintf("zeros from byte %d", n)] = zeroed
			changed := bytes.Clone(whole[name])
			changed[begin+n] ^= 0x40
			torn[fmt.Sprintf("flipped bit in byte %d", n)] = changed
		}
		for how, content := range torn {
			j, tail, err := whole.with(name, content).open(t, Position{})
			require.NoError(t, err, how)
			require.Len(t, tail, frames-1, how)
			require.Equal(t, uint64(frames), j.next, how)

			// The next frame takes its place, and the next open finds it.
			require.Equal(t, uint64(frames), appendTo(t, j, 50))
			again, tail, err := readJournal(j.dir, made.at(uint64(frames)-1), smallJournal)
			require.NoError(t, err, how)
			require.Len(t, tail, 1, how)
			require.Equal(t, bodyOf(uint64(frames), 50), tail[0].body, how)
			require.NoError(t, again.Close())
		}
	}
}

func TestDamagedAcknowledgedFrameIsRefused(t *testing.T) {
	whole, _ := someFrames(t, 7)
	for seq := 1; seq < 7; seq++ {
		name, begin := segmentName((seq+2)/3), segmentHeader+(seq-1)%3*frameOf100
		for place := range frameHeader + 100 {
			damaged := bytes.Clone(whole[name])
			damaged[begin+place] ^= 0x10
			_, _, err := whole.with(name, damaged).open(t, Position{})
			want := fmt.Sprintf("frame %d is damaged or missing, and frame %d, written after it, is in ", seq, seq+1)
			require.ErrorContains(t, err, want, "byte %d", place)
			require.ErrorContains(t, err, "Acknowledged reports are in between")
		}
	}
}

func TestDamagedHeaderOfASegmentIsRefused(t *testing.T) {
	whole, _ := someFrames(t, 7)
	for number := 1; number <= 3; number++ {
		for place := range 24 {
			damaged := bytes.Clone(whole[segmentName(number)])
			damaged[place] ^= 0x10
			_, _, err := whole.with(segmentName(number), damaged).open(t, Position{})
			require.ErrorContains(t, err, segmentName(number))
			require.Regexp(t, "is damaged|has format", err)
		}
	}
}

// The content of a folded frame is in the database, so damage to it must not prevent Open.
func TestDamagedFoldedFrameIsIgnored(t *testing.T) {
	whole, made := someFrames(t, 7)
	for seq := 1; seq <= 5; seq++ {
		name := segmentName((seq + 2) / 3)
		damaged := bytes.Clone(whole[name])
		damaged[segmentHeader+(seq-1)%3*frameOf100+50] ^= 0x10
		j, tail, err := whole.with(name, damaged).open(t, made.at(5))
		require.NoError(t, err)
		require.Len(t, tail, 2)
		require.Equal(t, uint64(8), appendTo(t, j, 100))
	}
}

func TestWrongJournalIsRefused(t *testing.T) {
	whole, made := someFrames(t, 7)
	other, _ := someFrames(t, 7)
	newer := bytes.Clone(whole[segmentName(2)])
	binary.LittleEndian.PutUint32(newer[8:], segmentFormat+1)
	truncated := whole[segmentName(2)][:segmentHeader+frameOf100+10]
	for _, c := range []struct {
		name   string
		files  files
		folded Position
		want   string
	}{
		{
			"older than the database", whole, made.at(8),
			"it ends with frame 7, but the database has already folded frame 8",
		},
		{"empty", files{}, made.at(8), "it ends with frame 0, but the database has already folded frame 8"},
		{"of another database", whole, Position{7, Salt{1}}, "belongs to another database"},
		{
			"newer than the database, with recycled segments", whole.without(segmentName(1)),
			Position{},
			"frame 1 is damaged or missing, and frame 4",
		},
		{
			"with a missing segment", whole.without(segmentName(2)), made.at(2),
			"frame 4 is damaged or missing, and frame 7",
		},
		{
			"with a segment of another journal", whole.with(segmentName(2), other[segmentName(2)]),
			Position{},
			"belong to different journals",
		},
		{"with a segment twice", whole.with(segmentName(4), whole[segmentName(2)]), Position{}, "exists twice"},
		{"with a truncated segment", whole.with(segmentName(2), truncated), Position{}, "should have"},
		{
			"with an empty segment", whole.with(segmentName(2), nil),
			Position{},
			segmentName(2) + " is damaged: it does not start with the header of a journal segment",
		},
		{
			"of a newer version", whole.with(segmentName(2), newer),
			Position{},
			"has format 2, this version reads format 1: use the version that wrote it, or a newer one",
		},
		{
			"with a foreign file", whole.with("notes.txt", []byte("!")),
			Position{},
			"notes.txt is not a journal segment: move it out of the folder",
		},
		{
			"with a backup", whole.with(segmentName(2)+".bak", whole[segmentName(2)]),
			Position{},
			"is not a journal segment",
		},
		{"with a wrong name", whole.with("2.segment", whole[segmentName(2)]), Position{}, "is not a journal segment"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := c.files.open(t, c.folded)
			require.ErrorContains(t, err, "open journal: ")
			require.ErrorContains(t, err, c.want)
			require.Regexp(t, "restore|out of the folder|use the version", err.Error(), "the error says what to do")
		})
	}
}

func TestUnfinishedSegmentIsRemoved(t *testing.T) {
	whole, _ := someFrames(t, 7)
	j, tail, err := whole.with(segmentName(4)+".new", whole[segmentName(3)][:700]).open(t, Position{})
	require.NoError(t, err)
	require.Len(t, tail, 7)
	require.ElementsMatch(t, slices.Collect(maps.Keys(whole)), slices.Collect(maps.Keys(readFiles(t, j.dir))))
}

// A body may contain any bytes, even a frame of this journal.
func TestFrameInsideABodyIsNotAFrame(t *testing.T) {
	j := newJournal(t, Config{Segment: 4096, Limit: 1 << 20})
	image := sealFrame(append(Begin(nil), "not recorded"...), j.salt, 3, 1)
	body := append(make([]byte, frameAlign), image...)
	for range 2 {
		_, _, err := j.Append(append(Begin(nil), body...), 1)
		require.NoError(t, err)
	}
	again, tail := openedJournal(t, j.dir, Position{}, smallJournal)
	require.Len(t, tail, 2)
	require.Equal(t, body, tail[1].body)
	require.Equal(t, uint64(3), again.next)
	require.NoError(t, again.Close())

	// A sender does not know the salt. A frame made without it is not taken for a frame even if the frame around it is
	// torn.
	foreign := sealFrame(append(Begin(nil), "not recorded"...), Salt{}, 3, 1)
	_, _, err := j.Append(append(Begin(nil), foreign...), 1)
	require.NoError(t, err)
	torn := readFiles(t, j.dir)
	torn[segmentName(1)][j.offset-frameAlign-1] ^= 1
	_, tail, err = torn.open(t, Position{})
	require.NoError(t, err)
	require.Len(t, tail, 2)
}
