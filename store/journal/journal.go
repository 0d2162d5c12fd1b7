package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/dlrloop/dlrloop/store/disk"
)

// ErrFull means that the whole journal is occupied by frames that are not yet applied to the database.
var ErrFull = errors.New("journal is full")

// Journal appends frames to segment files, and reuses a segment when its frames are folded (applied to the database).
// Only one goroutine, the appender, calls Append and Reserve. Any goroutine may call the other methods.
type Journal struct {
	config Config
	dir    string
	salt   Salt

	// Owned by the appender.
	offset       int       // of the next frame in current
	next         uint64    // sequence of the next frame
	fullSince    time.Time // when the journal became full; zero while it is not
	createFailed time.Time // when creating a segment last failed
	createErr    error     // why, if the disk was full

	mu       sync.Mutex // guards the fields below
	current  *segment   // set only by the appender
	segments []*segment // with the field last of each
	bytes    int64      // of all segments
	folded   uint64     // sequence of the last folded frame
	synced   uint64     // sequence of the last durable frame
	lastName int        // the highest number ever used in a segment's name
	freed    *sync.Cond // on mu; signaled when frames were folded, and by Stop
	closing  bool
}

// Append writes and syncs a frame. buf is the result of Begin with a body appended that holds this many arrivals.
// Append returns the frame's place; sealed is the complete frame, whose memory may be reused. While unreleased frames
// fill the journal, Append blocks for up to Config.Patience and then returns ErrFull. After an error that is not fatal,
// the frame is not in the journal and the next Append reuses its place.
func (j *Journal) Append(buf []byte, arrivals int) (p Ref, sealed []byte, err error) {
	if err := j.Reserve(align(len(buf))); err != nil {
		return Ref{}, buf, err
	}
	p = Ref{j.next, arrivals, len(buf) - frameHeader, j.current, j.offset}
	buf = sealFrame(buf, j.salt, p.Seq, arrivals)
	if _, err := j.current.file.WriteAt(buf, int64(j.offset)); err != nil {
		return Ref{}, buf, disk.Fatal(fmt.Errorf("write journal: %w", err))
	}
	if err := disk.Datasync(j.current.file); err != nil {
		return Ref{}, buf, disk.Fatal(fmt.Errorf("sync journal: %w", err))
	}
	j.offset += len(buf)
	j.next++
	j.mu.Lock()
	j.current.last, j.synced = p.Seq, p.Seq
	j.mu.Unlock()
	return p, buf, nil
}

// Reserve makes sure that the current segment has room for a frame of length bytes. If necessary, it switches to
// another segment; then it may block and return ErrFull as Append does.
func (j *Journal) Reserve(length int) error {
	if j.current != nil && j.offset+length <= j.current.size && !j.current.stale.Load() {
		return nil
	}
	return j.switchSegment(length)
}

// createEvery is the pause before a segment file is created again after the disk was full, because each attempt fills
// the rest of the disk for a moment.
const createEvery = time.Second

// switchSegment selects a segment with room for a frame of length bytes. If the journal is full, it blocks until
// Release frees a segment, or returns ErrFull after Config.Patience.
func (j *Journal) switchSegment(length int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for {
		s, err := j.findSegment(length)
		if err != nil {
			return err
		}
		if s != nil {
			j.current, j.offset, j.fullSince = s, segmentHeader, time.Time{}
			s.clean = false
			return nil
		}
		if j.fullSince.IsZero() {
			j.fullSince = time.Now()
		}
		left := j.config.Patience - time.Since(j.fullSince)
		if j.closing || left <= 0 {
			return ErrFull
		}
		late := time.AfterFunc(left, j.freed.Broadcast)
		j.freed.Wait()
		late.Stop()
	}
}

// findSegment returns a reusable segment with room for a frame of length bytes, or creates one. It returns nil if the
// journal has its maximum size. The caller holds mu.
func (j *Journal) findSegment(length int) (*segment, error) {
	for _, s := range j.segments {
		if j.free(s) && segmentHeader+length <= s.size {
			return s, nil
		}
	}
	size := max(j.config.Segment, align(segmentHeader+length))
	if j.bytes+int64(size) > j.config.Limit && j.folded < j.synced {
		return nil, nil
	}
	return j.create(size)
}

// free reports whether a segment may be reused or deleted: it is unused, and Scrub does not overwrite it. The caller
// holds mu.
func (j *Journal) free(s *segment) bool { return j.unused(s) && !s.stale.Load() }

// unused reports whether the content of a segment may be lost: the database contains all its frames, and the last frame
// of the journal is in another segment. (Without its last frame, the journal would look like an old copy.) The caller
// holds mu.
func (j *Journal) unused(s *segment) bool {
	return s != j.current && s.last <= j.folded && (s.last < j.synced || s.last == 0)
}

// create adds a segment file of size bytes. Soon after a full disk it only repeats that error. The caller holds mu.
func (j *Journal) create(size int) (*segment, error) {
	if j.createErr != nil && time.Since(j.createFailed) < createEvery {
		return nil, j.createErr
	}
	s, err := createSegment(filepath.Join(j.dir, segmentName(j.lastName+1)), size, j.salt)
	if j.createFailed, j.createErr = time.Now(), nil; err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			j.createErr = err
		}
		return nil, err
	}
	j.lastName++
	j.segments = append(j.segments, s)
	j.bytes += int64(size)
	return s, nil
}

// Release records that the database durably contains all frames up to the sequence seq, so that their segments may be
// reused. It deletes reusable segments larger than Config.Segment, because each was created for one large frame.
func (j *Journal) Release(seq uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.folded = seq
	j.segments = slices.DeleteFunc(j.segments, func(s *segment) bool {
		return s.size > j.config.Segment && j.free(s) && j.remove(s)
	})
	j.freed.Broadcast()
}

func segmentName(number int) string { return fmt.Sprintf("%08d.segment", number) }

// remove deletes a segment's file. It returns false on failure; then Release tries again later. The caller holds mu.
func (j *Journal) remove(s *segment) bool {
	if os.Remove(s.Path) != nil {
		return false
	}
	j.bytes -= int64(s.size)
	_ = s.file.Close() // its frames are folded, so an error loses nothing
	return true
}

// Check returns a fatal error if a segment was deleted, replaced or truncated: the next start would not find the
// frames written to it.
func (j *Journal) Check() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.segments {
		if err := s.Check(); err != nil {
			return err
		}
		if info, err := os.Stat(s.Path); err == nil && info.Size() != int64(s.size) {
			return disk.Fatal(fmt.Errorf("%s was truncated from %d to %d bytes while it was in use: reports "+
				"acknowledged in the last %s may be lost: %s", s.Path, s.size, info.Size(), disk.CheckEvery, disk.Remedy))
		}
	}
	return nil
}

// Size returns the total size of all segment files in bytes.
func (j *Journal) Size() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.bytes
}

// Stop makes Append return ErrFull at once, now and later, instead of waiting for a segment.
func (j *Journal) Stop() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closing = true
	j.freed.Broadcast()
}

// Salt returns the random value that identifies the journal.
func (j *Journal) Salt() Salt { return j.salt }

// Close closes the files of all segments.
func (j *Journal) Close() error {
	var errs []error
	for _, s := range j.segments {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}
