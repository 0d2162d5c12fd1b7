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

// errFull means that the journal holds as much as it may of what is not folded yet.
var errFull = errors.New("journal is full")

// journal appends frames to segments and recycles those that were folded. One goroutine appends; any may release.
type journal struct {
	folder   string
	salt     salt
	segment  int           // size of a new segment
	limit    int64         // of all segments, unless a single frame needs more
	patience time.Duration // how long the journal may be full before appends fail

	offset int       // of the next frame in current; only the appender
	next   uint64    // sequence of the next frame; only the appender
	stuck  time.Time // since when there is no room; only the appender
	failed time.Time // when a segment last could not be made; only the appender
	why    error     // of that

	mu       sync.Mutex
	current  *segment   // set under mu, and only by the appender
	segments []*segment // guarded by mu, as the last of each
	bytes    int64      // guarded by mu
	folded   uint64     // guarded by mu
	synced   uint64     // sequence of the last durable frame; guarded by mu
	made     int        // segments ever made, for their names; guarded by mu
	release  *sync.Cond // on mu: something was folded, or closing
	closing  bool       // guarded by mu
}

// append makes one frame durable: buf is a frame begun by beginFrame. It waits while the journal is full of what is not
// folded, but not for ever. After an error that is not fatal the frame is not there, and the next one takes its place.
func (j *journal) append(buf []byte, arrivals int) (p placed, sealed []byte, err error) {
	if err := j.reserve(align(len(buf))); err != nil {
		return placed{}, buf, err
	}
	p = placed{j.next, arrivals, j.current, j.offset, len(buf) - frameHeader}
	buf = sealFrame(buf, j.salt, p.seq, arrivals)
	if _, err := j.current.file.WriteAt(buf, int64(j.offset)); err != nil {
		return placed{}, buf, fatal(fmt.Errorf("write journal: %w", err))
	}
	if err := datasync(j.current.file); err != nil {
		return placed{}, buf, fatal(fmt.Errorf("sync journal: %w", err))
	}
	j.offset += len(buf)
	j.next++
	j.mu.Lock()
	j.current.last, j.synced = p.seq, p.seq
	j.mu.Unlock()
	return p, buf, nil
}

// reserve makes room for a frame of need bytes in the current segment, or makes another the current one.
func (j *journal) reserve(need int) error {
	if j.current != nil && j.offset+need <= j.current.size {
		return nil
	}
	return j.turn(need)
}

// createEvery is how often a disk that had no room for a segment is tried again. Trying fills what is left of it.
const createEvery = time.Second

// turn makes a segment with room for a frame of need bytes the current one, and waits for it.
func (j *journal) turn(need int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for {
		s, err := j.room(need)
		if err != nil {
			return err
		}
		if s != nil {
			j.current, j.offset, j.stuck = s, segmentHeader, time.Time{}
			return nil
		}
		if j.stuck.IsZero() {
			j.stuck = time.Now()
		}
		left := j.patience - time.Since(j.stuck)
		if j.closing || left <= 0 {
			return errFull
		}
		late := time.AfterFunc(left, j.release.Broadcast)
		j.release.Wait()
		late.Stop()
	}
}

// room finds a segment for a frame of need bytes: a free one, else a new one; nil when there is none. The caller holds mu.
func (j *journal) room(need int) (*segment, error) {
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

// free reports whether a segment may be overwritten or deleted: all its frames are folded, and the journal's last is not
// among them, since a journal that ends before the database's position would be taken for an old one. The caller holds mu.
func (j *journal) free(s *segment) bool {
	return s != j.current && s.last <= j.folded && (s.last < j.synced || s.last == 0)
}

// create adds a segment. The caller holds mu.
func (j *journal) create(size int) (*segment, error) {
	if j.why != nil && time.Since(j.failed) < createEvery {
		return nil, j.why
	}
	s, err := createSegment(filepath.Join(j.folder, segmentName(j.made+1)), size, j.salt)
	if j.failed, j.why = time.Now(), nil; err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			j.why = err
		}
		return nil, err
	}
	j.made++
	j.segments = append(j.segments, s)
	j.bytes += int64(size)
	return s, nil
}

// fold says that all frames up to seq are folded durably: their segments may be used again. Segments larger than usual, made
// for one large frame, are deleted once they are folded and not the current one.
func (j *journal) fold(seq uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.folded = seq
	j.segments = slices.DeleteFunc(j.segments, func(s *segment) bool {
		return s.size > j.segment && j.free(s) && j.drop(s)
	})
	j.release.Broadcast()
}

func segmentName(number int) string { return fmt.Sprintf("%08d.segment", number) }

// drop deletes a segment's file, or leaves it for the next time. The caller holds mu.
func (j *journal) drop(s *segment) bool {
	if os.Remove(s.path) != nil {
		return false
	}
	j.bytes -= int64(s.size)
	_ = s.file.Close() // what was in it is not needed any more
	return true
}

// check fails when a segment is no longer where it was made, or was cut: no start will find the frames that are written.
func (j *journal) check() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.segments {
		if err := s.check(); err != nil {
			return err
		}
		if info, err := os.Stat(s.path); err == nil && info.Size() != int64(s.size) {
			return fatalError{fmt.Errorf("%s was cut to %d bytes while it was in use, and should have %d: what was acknowledged in "+
				"the last %s may be lost: %s", s.path, info.Size(), s.size, checkEvery, wayOut)}
		}
	}
	return nil
}

// size is the bytes of all segments.
func (j *journal) size() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.bytes
}

// stop lets an append that waits for room fail, and all that come after it.
func (j *journal) stop() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closing = true
	j.release.Broadcast()
}

func (j *journal) close() error {
	var errs []error
	for _, s := range j.segments {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}

// fatalError marks a failure after which nobody knows what is on disk: the kernel may have dropped what it could not
// write and calls the next sync a success. Only a start finds out.
type fatalError struct{ error }

func (f fatalError) Unwrap() error { return f.error }

// fatal marks err, unless it is a write for which the disk had no room: that left what is there as it was. A sync that
// fails for want of room is as bad as any.
func fatal(err error) error {
	write, ok := errors.AsType[*fs.PathError](err)
	if ok && write.Op == "write" && (errors.Is(write.Err, syscall.ENOSPC) || errors.Is(write.Err, syscall.EDQUOT)) {
		return err
	}
	return fatalError{err}
}

// ends reports whether the store must end after err.
func ends(err error) bool { return errors.As(err, new(fatalError)) }
