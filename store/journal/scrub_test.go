package journal

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// appendEmpty returns the parameter next of Scrub: it appends an empty frame and, if folded, releases all frames.
func appendEmpty(j *Journal, folded bool) func() error {
	return func() error {
		p, _, err := j.Append(Begin(nil), 0)
		if err == nil && folded {
			j.Release(p.Seq)
		}
		return err
	}
}

// requireScrubbed requires that the segments have nothing but headers and frames with sequences from first on.
func requireScrubbed(t require.TestingT, f files, first uint64, salt Salt) {
	for name, content := range f {
		for offset := segmentHeader; offset < len(content); {
			if found, ok := readFrame(content, offset, salt); ok && found.seq >= first {
				offset = found.end()
				continue
			}
			require.Zero(t, content[offset], "%s, offset %d", name, offset)
			offset++
		}
	}
}

func TestScrubOverwritesFoldedFrames(t *testing.T) {
	for frames := range 12 {
		j := newJournal(t, smallJournal)
		for range frames {
			j.Release(appendTo(t, j, 200))
		}
		size := j.Size()
		require.NoError(t, j.Scrub(t.Context(), appendEmpty(j, true)))
		requireScrubbed(t, readFiles(t, j.dir), j.next-1, j.salt)
		require.LessOrEqual(t, j.Size(), size+int64(smallJournal.Segment))
		for range 2 { // the segments are used again
			again, tail := openedJournal(t, j.dir, j.at(j.next-1), smallJournal)
			require.Empty(t, tail)
			require.Equal(t, j.next, again.next)
			require.NoError(t, again.Close())
			for range 5 {
				j.Release(appendTo(t, j, 200))
			}
		}
		require.LessOrEqual(t, j.Size(), max(size, 2*int64(smallJournal.Segment)))
	}
}

func TestScrubKeepsUnfoldedFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal(t, smallJournal)
		j.Release(appendTo(t, j, 200))
		appendTo(t, j, 200)
		scrubbed := make(chan error, 1)
		go func() { scrubbed <- j.Scrub(t.Context(), appendEmpty(j, false)) }()
		synctest.Wait()
		require.Empty(t, scrubbed, "frame 2 is not folded")
		_, tail := openedJournal(t, j.dir, j.at(1), smallJournal)
		require.Equal(t, bodyOf(2, 200), tail[0].body)
		j.Release(2)
		require.NoError(t, <-scrubbed)
		requireScrubbed(t, readFiles(t, j.dir), 3, j.salt)
	})
}

// Without the end of Scrub the segments would be lost for new frames.
func TestEndedScrubCanBeRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := newJournal(t, smallJournal)
		j.Release(appendTo(t, j, 200))
		appendTo(t, j, 200)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, j.Scrub(ctx, appendEmpty(j, false)), context.DeadlineExceeded)
		require.ErrorIs(t, j.Scrub(ctx, nil), context.DeadlineExceeded)
		failed := fmt.Errorf("disk full")
		require.ErrorIs(t, j.Scrub(t.Context(), func() error { return failed }), failed)
		for range 20 {
			j.Release(appendTo(t, j, 200))
		}
		require.LessOrEqual(t, j.Size(), smallJournal.Limit)
		require.NoError(t, j.Scrub(t.Context(), appendEmpty(j, true)))
		requireScrubbed(t, readFiles(t, j.dir), j.next-1, j.salt)

		appendTo(t, j, 200)
		go j.Stop()
		require.ErrorIs(t, j.Scrub(t.Context(), appendEmpty(j, false)), ErrFull)
	})
}

// If the frame that must be the last one cannot be written, the last frame of the journal is not overwritten.
func TestScrubKeepsTheLastFrame(t *testing.T) {
	j := newJournal(t, smallJournal)
	j.Release(appendTo(t, j, 200))
	require.NoError(t, j.Scrub(t.Context(), func() error {
		require.NoError(t, j.Reserve(0)) // switches, as before a write that fails
		require.NoError(t, j.scrubUnused(t.Context(), true))
		again, tail := openedJournal(t, j.dir, j.at(1), smallJournal)
		require.Empty(t, tail)
		require.Equal(t, uint64(2), again.next)
		require.NoError(t, again.Close())
		return appendEmpty(j, true)()
	}))
	requireScrubbed(t, readFiles(t, j.dir), 2, j.salt)
}

// A power loss leaves any part of what Scrub has overwritten. Every such journal opens with all its unfolded frames.
func TestInterruptedScrub(t *testing.T) {
	j := newJournal(t, smallJournal)
	for range 5 {
		j.Release(appendTo(t, j, 100))
	}
	before := readFiles(t, j.dir)
	require.NoError(t, j.Scrub(t.Context(), appendEmpty(j, true)))
	appendTo(t, j, 100)
	after, current := readFiles(t, j.dir), filepath.Base(j.current.Path)
	images := 0
	for name, content := range before {
		if name == current {
			continue // it was overwritten before its frames were appended
		}
		for sector := segmentHeader; sector < len(content); sector += 128 {
			for _, upTo := range []int{sector + 128, len(content)} {
				mixed := bytes.Clone(after[name])
				copy(mixed[sector:upTo], content[sector:upTo])
				_, tail, err := after.with(name, mixed).open(t, j.at(5))
				require.NoError(t, err)
				require.Len(t, tail, 2)
				require.Equal(t, bodyOf(7, 100), tail[1].body)
				images++
			}
		}
	}
	require.Positive(t, images)

	// Damage to the frame that is now the last one is still found.
	damaged := bytes.Clone(after[current])
	damaged[segmentHeader+3] ^= 1
	_, _, err := after.with(current, damaged).open(t, j.at(5))
	require.ErrorContains(t, err, "frame 6 is damaged or missing, and frame 7, written after it, is in")
}
