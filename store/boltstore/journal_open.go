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

// placed is a frame's place in the journal.
type placed struct {
	seq      uint64
	arrivals int
	in       *segment
	offset   int
	body     int // its length
}

func (p placed) end() int { return align(p.offset + frameHeader + p.body) }

// openJournal opens the journal in folder, or makes one, and returns the frames that are durable and not folded: those
// after folded. It reads one segment at a time and keeps none of them: journal.read reads a frame. A journal that ends
// before folded, lacks one of these frames or belongs to another database is refused.
func openJournal(folder string, folded position, c Config) (*journal, []placed, error) {
	j := &journal{
		folder: folder, salt: newSalt(), segment: c.Segment, limit: c.JournalLimit, patience: c.Committer.Patience,
		folded: folded.seq, synced: folded.seq, next: folded.seq + 1,
	}
	j.release = sync.NewCond(&j.mu)
	// A run that was killed may have left names that are not durable yet.
	if err := errors.Join(makeFolder(folder), syncFolder(folder)); err != nil {
		return nil, nil, fmt.Errorf("open journal: %w", err)
	}
	found, err := j.scan(folded)
	var tail []placed
	if err == nil {
		tail, err = j.resume(found, folded.seq)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open journal: %w", err), j.close())
	}
	return j, tail, nil
}

// scan opens all segments and finds the frames after folded, and the newest of the others.
func (j *journal) scan(folded position) ([]placed, error) {
	entries, err := os.ReadDir(j.folder)
	if err != nil {
		return nil, err
	}
	var (
		found  []placed
		newest placed
		buf    []byte // holds one segment
	)
	for _, e := range entries {
		path := filepath.Join(j.folder, e.Name())
		if strings.HasSuffix(path, ".segment.new") {
			if err := os.Remove(path); err != nil { // a run was cut while it made the segment
				return nil, err
			}
			continue
		}
		var number int
		if _, err := fmt.Sscanf(e.Name(), "%d.segment", &number); err != nil || e.Name() != segmentName(number) {
			return nil, fmt.Errorf("%s is no journal segment: move it out of the folder", path)
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
			return nil, fmt.Errorf("%s belongs to another journal than %s: move the one that is not yours out of the folder", path, j.segments[0].path)
		}
		j.salt = salt
		j.made = max(j.made, number)
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
	if newest.in != nil {
		found = append(found, newest)
	}
	return found, nil
}

// framesOf finds all frames that verify in a segment: those of its present use and what is left of earlier ones.
func framesOf(s *segment, content []byte, salt salt) iter.Seq[placed] {
	return func(yield func(placed) bool) {
		for offset := segmentHeader; offset+frameHeader <= len(content); {
			f, ok := readFrame(content, offset, salt)
			if !ok {
				offset += frameAlign
				continue
			}
			s.last = max(s.last, f.seq)
			offset = f.end()
			if !yield(placed{f.seq, f.arrivals, s, f.offset, len(f.body)}) {
				return
			}
		}
	}
}

// resume finds the journal's end, sets the place of the next frame behind it and returns the frames after folded.
func (j *journal) resume(found []placed, folded uint64) (tail []placed, err error) {
	if len(found) == 0 && folded == 0 {
		return nil, nil
	}
	slices.SortFunc(found, func(a, b placed) int { return cmp.Compare(a.seq, b.seq) })
	expected := folded + 1
	for _, f := range found {
		switch {
		case f.seq <= folded:
			continue
		case f.seq < expected:
			return nil, fmt.Errorf("frame %d is there twice, the second time in %s: move the segment that does not belong here out of the folder", f.seq, f.in.path)
		case f.seq > expected:
			return nil, fmt.Errorf("frame %d is damaged or missing, and frame %d, written after it, is in %s. Acknowledged reports are in between: "+
				"%s", expected, f.seq, f.in.path, wayOut)
		}
		tail = append(tail, f)
		expected++
	}
	newest := uint64(0)
	if len(found) > 0 {
		newest = found[len(found)-1].seq
	}
	if newest < folded {
		return nil, fmt.Errorf("it ends with frame %d, and the database has folded frame %d: a segment is missing, or journal and database "+
			"are not of the same time. If a segment was moved, put it back; else %s", newest, folded, wayOut)
	}
	last := found[len(found)-1]
	j.next, j.synced = last.seq+1, last.seq
	j.current, j.offset = last.in, last.end()
	return tail, j.rewrite(last)
}

// rewrite writes a frame again where it stands and syncs it. After a failed sync a frame can be read back that is only in
// memory; written again, it is on disk before anything relies on it.
func (j *journal) rewrite(p placed) error {
	whole, _, err := j.readWhole(p)
	if err != nil {
		return err
	}
	if _, err := p.in.file.WriteAt(whole, int64(p.offset)); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return datasync(p.in.file)
}

// read reads a frame that is not folded, and verifies it again.
func (j *journal) read(p placed) (frame, error) {
	_, f, err := j.readWhole(p)
	return f, err
}

// readWhole also returns the frame's bytes with their padding.
func (j *journal) readWhole(p placed) ([]byte, frame, error) {
	whole := make([]byte, p.end()-p.offset)
	if _, err := p.in.file.ReadAt(whole, int64(p.offset)); err != nil {
		return nil, frame{}, fmt.Errorf("read journal: %w", err)
	}
	f, ok := readFrame(whole, 0, j.salt)
	if !ok || f.seq != p.seq {
		return nil, frame{}, fatalError{fmt.Errorf("frame %d in %s is damaged: it verified when it was written", p.seq, p.in.path)}
	}
	return whole, f, nil
}
