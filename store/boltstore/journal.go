package boltstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

// errFull means that the journal holds as much as it may of what is not folded yet.
var errFull = errors.New("journal is full")

// journal appends frames to segments and recycles those that were folded. One goroutine appends; any may release.
type journal struct {
	folder  string
	salt    salt
	segment int   // size of a new segment
	limit   int64 // of all segments, unless a single frame needs more

	offset int    // of the next frame in current; only the appender
	next   uint64 // sequence of the next frame; only the appender

	mu       sync.Mutex
	current  *segment   // set under mu, and only by the appender
	segments []*segment // guarded by mu, as the last of each
	bytes    int64      // guarded by mu
	folded   uint64     // guarded by mu
	made     int        // segments ever made, for their names; guarded by mu
	release  *sync.Cond // on mu: something was folded, or closing
	closing  bool       // guarded by mu
}

// append makes one frame durable: buf is a frame begun by beginFrame. It waits while the journal is full of what is not
// folded. An error that is not fatal left nothing behind.
func (j *journal) append(buf []byte, arrivals int) (seq uint64, sealed []byte, err error) {
	if need := align(len(buf)); j.current == nil || j.offset+need > j.current.size {
		if err := j.turn(need); err != nil {
			return 0, buf, err
		}
	}
	seq = j.next
	buf = sealFrame(buf, j.salt, seq, arrivals)
	if _, err := j.current.file.WriteAt(buf, int64(j.offset)); err != nil {
		return 0, buf, fatal(fmt.Errorf("write journal: %w", err))
	}
	if err := datasync(j.current.file); err != nil {
		return 0, buf, fatal(fmt.Errorf("sync journal: %w", err))
	}
	j.offset += len(buf)
	j.next++
	j.mu.Lock()
	j.current.last = seq
	j.mu.Unlock()
	return seq, buf, nil
}

// turn makes a segment with room for a frame of need bytes the current one: a folded one, else a new one.
func (j *journal) turn(need int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for {
		if j.closing {
			return errFull
		}
		for _, s := range j.segments {
			if s != j.current && s.last <= j.folded && segmentHeader+need <= s.size {
				j.current, j.offset = s, segmentHeader
				return nil
			}
		}
		size := max(j.segment, align(segmentHeader+need))
		if j.bytes+int64(size) <= j.limit || j.folded+1 == j.next {
			s, err := j.create(size)
			if err != nil {
				return err
			}
			j.current, j.offset = s, segmentHeader
			return nil
		}
		j.release.Wait()
	}
}

// create adds a segment. The caller holds mu.
func (j *journal) create(size int) (*segment, error) {
	path := filepath.Join(j.folder, fmt.Sprintf("%08d.segment", j.made+1))
	s, err := createSegment(path, size, j.salt)
	if err != nil {
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
		return s != j.current && s.last <= seq && s.size > j.segment && j.drop(s) == nil
	})
	j.release.Broadcast()
}

// drop deletes a segment's file. The caller holds mu.
func (j *journal) drop(s *segment) error {
	if err := os.Remove(s.path); err != nil {
		return err
	}
	j.bytes -= int64(s.size)
	return s.file.Close()
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

func fatal(err error) error { return fatalError{err} }

// ends reports whether the store must end after err: all failures but a disk that is full, which leaves what is
// there as it was.
func ends(err error) bool {
	return errors.As(err, new(fatalError)) && !errors.Is(err, syscall.ENOSPC)
}

// rewrite writes a frame again where it stands and syncs it. After a failed sync a frame can be read back that is only in
// memory; written again, it is on disk before anything relies on it.
func (j *journal) rewrite(content []byte, f frame) error {
	if _, err := j.current.file.WriteAt(content[f.offset:f.end()], int64(f.offset)); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return datasync(j.current.file)
}
