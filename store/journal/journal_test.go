package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/store/disk"
)

// smallJournal configures segments that hold a few small frames.
var smallJournal = Config{
	Segment: segmentHeader + 512, Limit: 3 * (segmentHeader + 512), Patience: 3 * time.Second,
}

// openedJournal opens a journal; the test must close it.
func openedJournal(t require.TestingT, dir string, folded Position, c Config) (*Journal, []frame) {
	j, tail, err := readJournal(dir, folded, c)
	require.NoError(t, err)
	return j, tail
}

// readJournal opens a journal and reads its unfolded frames.
func readJournal(dir string, folded Position, c Config) (*Journal, []frame, error) {
	j, tail, err := Open(dir, folded, c)
	if err != nil {
		return nil, nil, err
	}
	frames := make([]frame, len(tail))
	for i, p := range tail {
		if _, frames[i], err = j.readWhole(p); err != nil {
			return nil, nil, errors.Join(err, j.Close())
		}
	}
	return j, frames, nil
}

// newJournal returns an empty journal, closed by the test's cleanup.
func newJournal(t *testing.T, c Config) *Journal {
	t.Helper()
	j, tail := openedJournal(t, filepath.Join(t.TempDir(), "journal"), Position{}, c)
	require.Empty(t, tail)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	return j
}

// bodyOf returns the body of frame seq in these tests: bytes that are not zero.
func bodyOf(seq uint64, size int) []byte {
	return bytes.Repeat([]byte{byte(seq%250) + 1}, size)
}

// appendTo appends one frame with a body of size bytes and returns its sequence.
func appendTo(t require.TestingT, j *Journal, size int) uint64 {
	p, _, err := j.Append(append(Begin(nil), bodyOf(j.next, size)...), 1)
	require.NoError(t, err)
	return p.Seq
}

// at returns the position after frame seq.
func (j *Journal) at(seq uint64) Position { return Position{seq, j.salt} }

func TestAppendedFramesAreFoundByOpen(t *testing.T) {
	j := newJournal(t, smallJournal)
	for seq := uint64(1); seq <= 7; seq++ {
		require.Equal(t, seq, appendTo(t, j, 100))
	}
	for folded := range uint64(8) {
		again, tail := openedJournal(t, j.dir, j.at(folded), smallJournal)
		require.Len(t, tail, 7-int(folded))
		for i, f := range tail {
			require.Equal(t, folded+1+uint64(i), f.seq)
			require.Equal(t, bodyOf(f.seq, 100), f.body)
			require.Equal(t, 1, f.arrivals)
		}
		require.Equal(t, uint64(8), again.next)
		require.NoError(t, again.Close())
	}
}

func TestFoldedSegmentsAreReused(t *testing.T) {
	j := newJournal(t, smallJournal)
	for range 200 {
		j.Release(appendTo(t, j, 200))
	}
	require.LessOrEqual(t, len(j.segments), 2)
	require.Equal(t, int64(len(j.segments))*int64(smallJournal.Segment), j.Size())

	again, tail := openedJournal(t, j.dir, j.at(200), smallJournal)
	require.Empty(t, tail)
	require.Equal(t, uint64(201), appendTo(t, again, 200))
	require.NoError(t, again.Close())
}

func TestFullJournalWaitsForTheFold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal(t, smallJournal)
		for range 6 { // two in each segment
			appendTo(t, j, 200)
		}
		appended := make(chan error)
		go func() {
			_, _, err := j.Append(append(Begin(nil), bodyOf(7, 200)...), 1)
			appended <- err
		}()
		synctest.Wait()
		j.Release(1)
		synctest.Wait()
		require.Empty(t, appended, "frame 2 is in the same segment and not folded")
		j.Release(2)
		require.NoError(t, <-appended)
		require.Equal(t, int64(3*smallJournal.Segment), j.Size())
		appendTo(t, j, 200)

		begin := time.Now()
		_, _, err := j.Append(append(Begin(nil), bodyOf(9, 200)...), 1)
		require.ErrorIs(t, err, ErrFull)
		require.Equal(t, 3*time.Second, time.Since(begin))
		_, _, err = j.Append(append(Begin(nil), bodyOf(9, 200)...), 1)
		require.ErrorIs(t, err, ErrFull)
		require.Equal(t, 3*time.Second, time.Since(begin), "the patience is used up until a frame is folded")
		require.False(t, disk.IsFatal(err))

		j.Release(4)
		require.Equal(t, uint64(9), appendTo(t, j, 200), "a refused frame leaves no gap in the sequences")
	})
}

func TestStoppedJournalDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal(t, smallJournal)
		for range 6 {
			appendTo(t, j, 200)
		}
		stopped := make(chan error)
		go func() {
			_, _, err := j.Append(append(Begin(nil), bodyOf(7, 200)...), 1)
			stopped <- err
		}()
		synctest.Wait()
		begin := time.Now()
		j.Stop()
		require.ErrorIs(t, <-stopped, ErrFull)
		require.Zero(t, time.Since(begin))
	})
}

func TestOversizedFrameGetsASegmentOfItsOwn(t *testing.T) {
	j := newJournal(t, smallJournal)
	j.Release(appendTo(t, j, 100))
	appendTo(t, j, 100_000)
	require.Greater(t, j.Size(), int64(100_000))

	again, tail := openedJournal(t, j.dir, j.at(1), smallJournal)
	require.Equal(t, bodyOf(2, 100_000), tail[0].body)
	require.NoError(t, again.Close())

	j.Release(2)
	require.Greater(t, j.Size(), int64(100_000), "the segment with the journal's last frame is kept")
	appendTo(t, j, 100)
	j.Release(2)
	require.Equal(t, int64(smallJournal.Segment), j.Size())
	again, tail = openedJournal(t, j.dir, j.at(2), smallJournal)
	require.Len(t, tail, 1)
	require.NoError(t, again.Close())
}

// A frame larger than Limit is accepted after everything before it is folded.
func TestFrameLargerThanTheLimitIsAppended(t *testing.T) {
	j := newJournal(t, smallJournal)
	j.Release(appendTo(t, j, 100))
	require.Equal(t, uint64(2), appendTo(t, j, 50_000))
	j.Release(2)
	require.Equal(t, uint64(3), appendTo(t, j, 60_000))
}

// After switchSegment the journal's last frame is in another segment than the current one, until the next frame is
// synced; longer if the disk is full. That segment must be kept.
func TestSegmentWithTheLastFrameIsKept(t *testing.T) {
	for _, last := range []int{200, 5_000} {
		t.Run(fmt.Sprintf("of %d bytes", last), func(t *testing.T) {
			j := newJournal(t, smallJournal)
			j.Release(appendTo(t, j, 200))
			appendTo(t, j, last)
			j.Release(2)
			require.NoError(t, j.switchSegment(400))
			require.NoError(t, j.switchSegment(450))
			require.NoError(t, j.switchSegment(6_000))
			j.Release(2)
			again, tail := openedJournal(t, j.dir, j.at(2), smallJournal)
			require.Empty(t, tail)
			require.Equal(t, uint64(3), again.next)
			require.NoError(t, again.Close())
			require.Equal(t, uint64(3), appendTo(t, j, 200))
		})
	}
}

// Open finds exactly the unfolded frames after any sequence of appends, folds and reopens.
func TestJournalReopensInAnyState(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := filepath.Join(t.TempDir(), "journal")
		j, _ := openedJournal(rt, dir, Position{}, smallJournal)
		defer func() { require.NoError(rt, j.Close()) }()
		bodies := make(map[uint64][]byte)
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				if j.Size() > 1<<20 {
					rt.Skip("full")
				}
				size := rapid.OneOf(rapid.IntRange(0, 500), rapid.IntRange(500, 3000)).Draw(rt, "size")
				body := bodyOf(j.next, size)
				j.config.Limit = 1 << 30 // so that append does not wait for a fold
				p, _, err := j.Append(append(Begin(nil), body...), 1)
				require.NoError(rt, err)
				bodies[p.Seq] = body
			},
			"fold": func(rt *rapid.T) {
				if j.folded+1 == j.next {
					rt.Skip("everything is folded")
				}
				j.Release(rapid.Uint64Range(j.folded+1, j.next-1).Draw(rt, "up to"))
			},
			"switch": func(rt *rapid.T) { // as before a write that fails because the disk is full
				j.config.Limit = 1 << 30
				require.NoError(rt, j.switchSegment(rapid.IntRange(32, 2000).Draw(rt, "need")))
			},
			"scrub": func(rt *rapid.T) {
				j.config.Limit = 1 << 30
				require.NoError(rt, j.Scrub(t.Context(), appendEmpty(j, true)))
				requireScrubbed(rt, readFiles(t, dir), j.next-1, j.salt)
			},
			"open": func(rt *rapid.T) {
				folded, next := j.at(j.folded), j.next
				require.NoError(rt, j.Close())
				var tail []frame
				j, tail = openedJournal(rt, dir, folded, smallJournal)
				require.Equal(rt, next, j.next)
				require.Len(rt, tail, int(next-1-folded.Seq))
				for i, f := range tail {
					require.Equal(rt, folded.Seq+1+uint64(i), f.seq)
					require.True(rt, bytes.Equal(bodies[f.seq], f.body))
				}
			},
		})
	})
}

// Open must not need more memory for a larger journal.
func TestOpenJournalNeedsTheMemoryOfOneSegment(t *testing.T) {
	c := Config{Segment: 1 << 20, Limit: 64 << 20}
	j := newJournal(t, c)
	for range 48 {
		appendTo(t, j, c.Segment*2/3)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	again, tail, err := Open(j.dir, Position{}, c)
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.NoError(t, again.Close())
	require.Len(t, tail, 48)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4*c.Segment), "bytes allocated for opening 48 segments")
}

// Each attempt to create a segment fills the remaining space of a full disk.
func TestSegmentIsCreatedAtMostOnceASecondOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal(t, smallJournal)
		full := &os.PathError{Op: "write", Path: "segment", Err: syscall.ENOSPC}
		j.createFailed, j.createErr = time.Now(), full
		_, _, err := j.Append(append(Begin(nil), "report"...), 1)
		require.ErrorIs(t, err, full)
		require.False(t, disk.IsFatal(err))
		time.Sleep(createEvery)
		require.Equal(t, uint64(1), appendTo(t, j, 100))
	})
}
