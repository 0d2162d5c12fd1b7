package journal

import (
	"context"
	"fmt"

	"github.com/dlrloop/dlrloop/store/disk"
)

// scrubPiece is how many bytes Scrub writes before it syncs them, so that it delays the sync of a frame only briefly.
const scrubPiece = 1 << 20

// Scrub overwrites every frame that is folded when Scrub is called with zeros, and also what is left of frames that
// were never acknowledged. A segment can only be overwritten if the last frame of the journal is in another one. So
// Scrub makes the next Append use another segment, and calls next, which must make the appender append a frame. Then
// Scrub blocks until all frames before that one are folded. It returns ErrFull after Stop, and the cause of ctx if ctx
// ends; the next call completes the work. Only one goroutine may call Scrub at a time.
func (j *Journal) Scrub(ctx context.Context, next func() error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer func() {
		for _, s := range j.segments {
			s.stale.Store(false)
		}
		j.freed.Broadcast()
	}()
	// The unused segments first, so that Append finds a clean one.
	if err := j.scrubUnused(ctx, false); err != nil {
		return err
	}
	for _, s := range j.segments {
		s.stale.Store(!s.clean)
	}
	if err := j.unlocked(next); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, j.broadcast)()
	for {
		if err := j.scrubUnused(ctx, true); err != nil {
			return err
		}
		if !j.hasStale() {
			// Release may have deleted segments; a power loss must not bring them back.
			return j.unlocked(func() error { return disk.SyncDir(j.dir) })
		}
		if j.closing {
			return ErrFull
		}
		j.freed.Wait()
	}
}

// unlocked calls run without mu, which the caller holds.
func (j *Journal) unlocked(run func() error) error {
	j.mu.Unlock()
	defer j.mu.Lock()
	return run()
}

// broadcast wakes Scrub, so that it notices the end of its context.
func (j *Journal) broadcast() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.freed.Broadcast()
}

// scrubUnused overwrites the unused segments, one at a time: those that are stale, or those that are not. The caller
// holds mu, which scrubUnused releases while it writes.
func (j *Journal) scrubUnused(ctx context.Context, stale bool) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s := j.nextUnused(stale)
		if s == nil {
			return nil
		}
		s.stale.Store(true)
		if err := j.unlocked(s.scrub); err != nil {
			return err
		}
		s.last, s.clean = 0, true
		s.stale.Store(false)
		j.freed.Broadcast()
	}
}

// nextUnused returns an unused segment that is not clean, and stale or not, as the caller wants; nil if there is none.
// The caller holds mu.
func (j *Journal) nextUnused(stale bool) *segment {
	for _, s := range j.segments {
		if j.unused(s) && !s.clean && s.stale.Load() == stale {
			return s
		}
	}
	return nil
}

// hasStale reports whether a segment is left that Scrub must overwrite. The caller holds mu.
func (j *Journal) hasStale() bool {
	for _, s := range j.segments {
		if s.stale.Load() {
			return true
		}
	}
	return false
}

// scrub overwrites everything after the header with zeros. Interrupted by a crash, it leaves some of the frames, or
// parts of them: Open accepts both, because the database has all frames of the segment.
func (s *segment) scrub() error {
	zeros := make([]byte, scrubPiece)
	for at := segmentHeader; at < s.size; at += len(zeros) {
		zeros = zeros[:min(len(zeros), s.size-at)]
		if _, err := s.file.WriteAt(zeros, int64(at)); err != nil {
			return disk.Fatal(fmt.Errorf("overwrite journal: %w", err))
		}
		if err := disk.Datasync(s.file); err != nil {
			return disk.Fatal(fmt.Errorf("sync journal: %w", err))
		}
	}
	return nil
}
