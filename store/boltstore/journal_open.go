package boltstore

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// frameRef locates a durable frame in the journal.
type frameRef struct {
	seq      uint64
	arrivals int
	segment  *segment
	offset   int // of the frame's header in the segment
	body     int // length of the body in bytes
}

func (p frameRef) end() int { return align(p.offset + frameHeader + p.body) }

// openJournal opens or creates the journal in dir and returns the frames after position folded, in order. They are
// durable and not folded. It reads one segment at a time and keeps no frame in memory; journal.read reads a frame. It
// fails if the journal ends before folded, lacks one of these frames or belongs to another database.
func openJournal(dir string, folded position, c Config) (*journal, []frameRef, error) {
	j := &journal{
		dir: dir, salt: newSalt(), segment: c.Segment, limit: c.JournalLimit, patience: c.Committer.Patience,
		folded: folded.seq, synced: folded.seq, next: folded.seq + 1,
	}
	j.freed = sync.NewCond(&j.mu)
	// A process that was killed may have left names that are not durable yet.
	if err := errors.Join(makeDir(dir), syncDir(dir)); err != nil {
		return nil, nil, fmt.Errorf("open journal: %w", err)
	}
	found, err := j.scan(folded)
	var tail []frameRef
	if err == nil {
		tail, err = j.resume(found, folded.seq)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open journal: %w", err), j.close())
	}
	return j, tail, nil
}

// scan opens all segments and returns the frames after folded, in no order, and the newest of the earlier frames.
func (j *journal) scan(folded position) ([]frameRef, error) {
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, err
	}
	var (
		found  []frameRef
		newest frameRef
		buf    []byte // content of one segment
	)
	for _, e := range entries {
		path := filepath.Join(j.dir, e.Name())
		if strings.HasSuffix(path, ".segment.new") {
			if err := os.Remove(path); err != nil { // a process was killed while it created the segment
				return nil, err
			}
			continue
		}
		var number int
		if _, err := fmt.Sscanf(e.Name(), "%d.segment", &number); err != nil || e.Name() != segmentName(number) {
			return nil, fmt.Errorf("%s is not a journal segment: move it out of the folder", path)
		}
		s, content, salt, err := openSegment(path, buf)
		if err != nil {
			return nil, err
		}
		buf = content
		j.segments = append(j.segments, s)
		switch {
		case folded.seq > 0 && salt != folded.salt:
			return nil, fmt.Errorf("%s belongs to another database: restore both from the same backup", path)
		case len(j.segments) > 1 && salt != j.salt:
			return nil, fmt.Errorf("%s and %s belong to different journals: move the one that is not yours "+
				"out of the folder",
				j.segments[0].path, path)
		}
		j.salt = salt
		j.lastName = max(j.lastName, number)
		j.bytes += int64(s.size)
		for p := range framesOf(s, content, salt) {
			switch {
			case p.seq > folded.seq:
				found = append(found, p)
			case p.seq >= newest.seq:
				newest = p
			}
		}
	}
	if newest.segment != nil {
		found = append(found, newest)
	}
	return found, nil
}

// framesOf yields the frames in a segment whose checksums match: those of its present use and those left from earlier
// uses.
func framesOf(s *segment, content []byte, salt salt) iter.Seq[frameRef] {
	return func(yield func(frameRef) bool) {
		for offset := segmentHeader; offset+frameHeader <= len(content); {
			f, ok := readFrame(content, offset, salt)
			if !ok {
				offset += frameAlign
				continue
			}
			s.last = max(s.last, f.seq)
			offset = f.end()
			if !yield(frameRef{f.seq, f.arrivals, s, f.offset, len(f.body)}) {
				return
			}
		}
	}
}

// resume checks that the frames after folded are complete, places the next append after the last frame, and returns
// the frames after folded in order.
func (j *journal) resume(found []frameRef, folded uint64) (tail []frameRef, err error) {
	if len(found) == 0 && folded == 0 {
		return nil, nil
	}
	slices.SortFunc(found, func(a, b frameRef) int { return cmp.Compare(a.seq, b.seq) })
	expected := folded + 1
	for _, f := range found {
		switch {
		case f.seq <= folded:
			continue
		case f.seq < expected:
			return nil, fmt.Errorf("frame %d exists twice, the second time in %s: move the segment that does not "+
				"belong here out of the folder", f.seq, f.segment.path)
		case f.seq > expected:
			return nil, fmt.Errorf("frame %d is damaged or missing, and frame %d, written after it, is in %s. "+
				"Acknowledged reports are in between: %s", expected, f.seq, f.segment.path, journalRemedy)
		}
		tail = append(tail, f)
		expected++
	}
	newest := uint64(0)
	if len(found) > 0 {
		newest = found[len(found)-1].seq
	}
	if newest < folded {
		return nil, fmt.Errorf("it ends with frame %d, but the database has already folded frame %d: a segment is "+
			"missing, or journal and database were not copied at the same time. If a segment was moved, put it back; "+
			"else %s", newest, folded, journalRemedy)
	}
	last := found[len(found)-1]
	j.next, j.synced = last.seq+1, last.seq
	j.current, j.offset = last.segment, last.end()
	return tail, j.rewrite(last)
}

// rewrite writes a frame again in its place and syncs it. After a failed sync, a frame may be readable from the page
// cache without being on disk; nothing may rely on it before it is.
func (j *journal) rewrite(p frameRef) error {
	whole, _, err := j.readWhole(p)
	if err != nil {
		return err
	}
	if _, err := p.segment.file.WriteAt(whole, int64(p.offset)); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return datasync(p.segment.file)
}

// read reads an unfolded frame and verifies its checksums. A mismatch is a fatal error.
func (j *journal) read(p frameRef) (frame, error) {
	_, f, err := j.readWhole(p)
	return f, err
}

// readWhole does what read does, and also returns the frame's bytes including the padding.
func (j *journal) readWhole(p frameRef) ([]byte, frame, error) {
	whole := make([]byte, p.end()-p.offset)
	if _, err := p.segment.file.ReadAt(whole, int64(p.offset)); err != nil {
		return nil, frame{}, fmt.Errorf("read journal: %w", err)
	}
	f, ok := readFrame(whole, 0, j.salt)
	if !ok || f.seq != p.seq {
		return nil, frame{}, fatalError{fmt.Errorf("frame %d in %s is damaged: its checksum matched when it "+
			"was written", p.seq, p.segment.path)}
	}
	return whole, f, nil
}
