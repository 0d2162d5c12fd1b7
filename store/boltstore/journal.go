package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// errFull means that unfolded frames occupy the whole journal.
var errFull = errors.New("journal is full")

// journal appends frames to segment files and recycles segments whose frames are folded. Only the committer's
// goroutine (the appender) appends; any goroutine may call the other methods.
type journal struct {
	dir      string
	salt     salt
	segment  int           // bytes of a new segment
	limit    int64         // maximum bytes of all segments; a single larger frame may exceed it
	patience time.Duration // how long the journal may be full before append returns errFull

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
	freed    *sync.Cond // on mu; signaled when frames were folded, and by stop
	closing  bool
}

// append makes one frame durable: it writes and syncs. buf holds the frame's body after beginFrame; the returned
// buffer is the sealed frame, for reuse. While unfolded frames fill the journal, append blocks for at most patience
// and then returns errFull. After an error that is not fatal the frame is not in the journal and the next append
// reuses its place.
func (j *journal) append(buf []byte, arrivals int) (p frameRef, sealed []byte, err error) {
	if err := j.reserve(align(len(buf))); err != nil {
		return frameRef{}, buf, err
	}
	p = frameRef{j.next, arrivals, j.current, j.offset, len(buf) - frameHeader}
	buf = sealFrame(buf, j.salt, p.seq, arrivals)
	if _, err := j.current.file.WriteAt(buf, int64(j.offset)); err != nil {
		return frameRef{}, buf, fatal(fmt.Errorf("write journal: %w", err))
	}
	if err := datasync(j.current.file); err != nil {
		return frameRef{}, buf, fatal(fmt.Errorf("sync journal: %w", err))
	}
	j.offset += len(buf)
	j.next++
	j.mu.Lock()
	j.current.last, j.synced = p.seq, p.seq
	j.mu.Unlock()
	return p, buf, nil
}

// reserve makes sure that the current segment has room for a frame of need bytes. If it has not, reserve switches to
// another segment, like switchSegment.
func (j *journal) reserve(need int) error {
	if j.current != nil && j.offset+need <= j.current.size {
		return nil
	}
	return j.switchSegment(need)
}

// createEvery is the pause before a segment is created again after the disk was full. Each attempt fills the remaining
// disk space for a moment.
const createEvery = time.Second

// switchSegment makes a segment with room for a frame of need bytes the current one. It blocks until the fold frees
// one, for at most patience.
func (j *journal) switchSegment(need int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for {
		s, err := j.findSegment(need)
		if err != nil {
			return err
		}
		if s != nil {
			j.current, j.offset, j.fullSince = s, segmentHeader, time.Time{}
			return nil
		}
		if j.fullSince.IsZero() {
			j.fullSince = time.Now()
		}
		left := j.patience - time.Since(j.fullSince)
		if j.closing || left <= 0 {
			return errFull
		}
		late := time.AfterFunc(left, j.freed.Broadcast)
		j.freed.Wait()
		late.Stop()
	}
}

// findSegment returns a free segment for a frame of need bytes, or creates one. It returns nil if the journal is full.
// The caller holds mu.
func (j *journal) findSegment(need int) (*segment, error) {
	for _, s := range j.segments {
		if j.free(s) && segmentHeader+need <= s.size {
			return s, nil
		}
	}
	size := max(j.segment, align(segmentHeader+need))
	if j.bytes+int64(size) > j.limit && j.folded < j.synced {
		return nil, nil
	}
	return j.create(size)
}

// free reports whether a segment may be overwritten or deleted: all its frames are folded, and the journal's last
// frame is not among them. (A journal that ends before the database's position would look like an old copy.) The
// caller holds mu.
func (j *journal) free(s *segment) bool {
	return s != j.current && s.last <= j.folded && (s.last < j.synced || s.last == 0)
}

// create creates a segment of size bytes. The caller holds mu.
func (j *journal) create(size int) (*segment, error) {
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

// fold marks all frames up to seq as durably folded, so that their segments may be reused. It deletes free segments
// that are larger than usual; they were created for one large frame.
func (j *journal) fold(seq uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.folded = seq
	j.segments = slices.DeleteFunc(j.segments, func(s *segment) bool {
		return s.size > j.segment && j.free(s) && j.remove(s)
	})
	j.freed.Broadcast()
}

func segmentName(number int) string { return fmt.Sprintf("%08d.segment", number) }

// remove deletes a segment's file and reports success. After an error the next fold tries again. The caller holds mu.
func (j *journal) remove(s *segment) bool {
	if os.Remove(s.path) != nil {
		return false
	}
	j.bytes -= int64(s.size)
	_ = s.file.Close() // its frames are folded, so an error loses nothing
	return true
}

// check returns a fatal error if a segment was deleted, replaced or truncated: the next start would not find the
// frames written to it.
func (j *journal) check() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.segments {
		if err := s.check(); err != nil {
			return err
		}
		if info, err := os.Stat(s.path); err == nil && info.Size() != int64(s.size) {
			return fatalError{fmt.Errorf("%s was truncated from %d to %d bytes while it was in use: reports "+
				"acknowledged in the last %s may be lost: %s", s.path, s.size, info.Size(), checkEvery, journalRemedy)}
		}
	}
	return nil
}

// size returns the bytes of all segments.
func (j *journal) size() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.bytes
}

// stop makes an append that waits for room, and every later one that would have to wait, return errFull.
func (j *journal) stop() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closing = true
	j.freed.Broadcast()
}

func (j *journal) close() error {
	var errs []error
	for _, s := range j.segments {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}

// fatalError marks an error after which the content of the disk is unknown: after a failed sync the kernel may drop
// the unwritten pages and report success for the next sync. The store must end; the next start reads what is on disk.
type fatalError struct{ error }

func (f fatalError) Unwrap() error { return f.error }

// fatal marks err as fatal unless a write failed because the disk is full: such a write changed nothing. A sync that
// fails because the disk is full is fatal.
func fatal(err error) error {
	write, ok := errors.AsType[*fs.PathError](err)
	if ok && write.Op == "write" && (errors.Is(write.Err, syscall.ENOSPC) || errors.Is(write.Err, syscall.EDQUOT)) {
		return err
	}
	return fatalError{err}
}

// ends reports whether err is fatal, so that the store must end.
func ends(err error) bool { return errors.As(err, new(fatalError)) }
