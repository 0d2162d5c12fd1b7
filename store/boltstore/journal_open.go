package boltstore

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// scanned is a segment and what was found in it.
type scanned struct {
	*segment
	content []byte
	chain   []frame  // frames of consecutive sequences from its beginning
	later   []uint64 // sequences of good frames behind the first that does not verify
}

// openJournal opens the journal in folder, or makes one, and returns the frames that were synced and are not folded:
// those after position. A journal that ends before position, or whose end is not its end, is damaged.
func openJournal(folder string, position uint64, segmentSize int, limit int64) (*journal, []frame, error) {
	j := &journal{folder: folder, segment: segmentSize, limit: limit, folded: position, next: position + 1, salt: newSalt()}
	j.release = sync.NewCond(&j.mu)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, nil, fmt.Errorf("open journal: %w", err)
	}
	found, err := j.scan()
	if err == nil {
		var tail []frame
		if tail, err = j.resume(found, position); err == nil {
			return j, tail, nil
		}
	}
	return nil, nil, errors.Join(fmt.Errorf("open journal: %w", err), j.close())
}

// scan opens all segments and finds their frames.
func (j *journal) scan() ([]*scanned, error) {
	entries, err := os.ReadDir(j.folder)
	if err != nil {
		return nil, err
	}
	var found []*scanned
	for _, e := range entries {
		path := filepath.Join(j.folder, e.Name())
		if strings.HasSuffix(path, ".segment.new") {
			if err := os.Remove(path); err != nil { // a start was cut while it made the segment
				return nil, err
			}
			continue
		}
		var number int
		if _, err := fmt.Sscanf(e.Name(), "%08d.segment", &number); err != nil {
			return nil, fmt.Errorf("%s is no journal segment: move it out of the folder", path)
		}
		s, content, salt, err := openSegment(path)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 && salt != j.salt {
			j.segments = append(j.segments, s)
			return nil, fmt.Errorf("%s belongs to another journal than %s", path, found[0].path)
		}
		j.salt = salt
		j.made = max(j.made, number)
		j.bytes += int64(s.size)
		j.segments = append(j.segments, s)
		found = append(found, &scanned{segment: s, content: content})
	}
	for _, s := range found {
		s.read(j.salt)
	}
	return found, nil
}

// read finds the segment's frames.
func (s *scanned) read(salt salt) {
	offset := segmentHeader
	for {
		f, ok := readFrame(s.content, offset, salt)
		if !ok || len(s.chain) > 0 && f.seq != s.last+1 {
			break
		}
		s.chain, s.last = append(s.chain, f), f.seq
		offset = f.end()
	}
	for ; offset+frameHeader <= len(s.content); offset += frameAlign {
		if f, ok := readFrame(s.content, offset, salt); ok {
			s.later = append(s.later, f.seq)
			s.last = max(s.last, f.seq)
		}
	}
}

// resume finds the journal's end and sets the place of the next frame behind it.
func (j *journal) resume(found []*scanned, position uint64) ([]frame, error) {
	chains := slices.DeleteFunc(slices.Clone(found), func(s *scanned) bool { return len(s.chain) == 0 })
	slices.SortFunc(chains, func(a, b *scanned) int { return cmp.Compare(a.chain[0].seq, b.chain[0].seq) })
	var (
		tail []frame
		end  = uint64(0) // the last frame of the run of frames that reaches or passes position
		last *scanned
	)
	for _, s := range chains {
		first, final := s.chain[0].seq, s.chain[len(s.chain)-1].seq
		if last != nil && end >= position && first != end+1 {
			break
		}
		for _, f := range s.chain {
			if f.seq > position {
				tail = append(tail, f)
			}
		}
		end, last = final, s
	}
	for _, s := range found {
		if s.last > max(end, position) {
			return nil, fmt.Errorf("%s is damaged: frame %d is there, but frame %d before it does not verify. "+
				"Acknowledged reports are in between: restore the folder from a backup, or ask Sinch for the reports again", s.path, s.last, max(end, position)+1)
		}
	}
	if end < position {
		return nil, fmt.Errorf("it ends with frame %d, but the database has folded frame %d: the two are not of the same time", end, position)
	}
	if len(tail) > 0 && tail[0].seq != position+1 {
		return nil, fmt.Errorf("frame %d is missing: the database has folded up to %d and the journal goes on with %d", position+1, position, tail[0].seq)
	}
	j.next = end + 1
	if last == nil {
		return nil, nil
	}
	f := last.chain[len(last.chain)-1]
	j.current, j.offset = last.segment, f.end()
	return tail, j.rewrite(last.content, f)
}
