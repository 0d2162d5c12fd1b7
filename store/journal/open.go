package journal

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
	"time"

	"github.com/dlrloop/dlrloop/store/disk"
)

// Config configures Open. All fields are required.
type Config struct {
	Segment  int           // bytes of a new segment; boltstore.Config.Segment sets it
	Limit    int64         // maximum bytes of all segments; a single larger frame may exceed it
	Patience time.Duration // how long the journal may be full before Append returns ErrFull
}

// Position identifies the last journal frame that a database contains.
type Position struct {
	Seq  uint64 // the last frame that is folded completely; 0 for none
	Salt Salt   // of the journal
}

// Ref locates a durable frame in the journal. Pass it to Journal.Read.
type Ref struct {
	Seq      uint64
	Arrivals int
	Body     int // length of the body in bytes
	segment  *segment
	offset   int // of the frame's header in the segment
}

func (p Ref) end() int { return align(p.offset + frameHeader + p.Body) }

// Open opens or creates the journal in dir. It returns references, in order, to the frames after the position folded:
// these are durable but not in the database yet. Read returns the body of one. Open fails if the journal ends before
// folded, lacks one of these frames or belongs to another database.
func Open(dir string, folded Position, c Config) (*Journal, []Ref, error) {
	j := &Journal{
		config: c, dir: dir, salt: newSalt(),
		folded: folded.Seq, synced: folded.Seq, next: folded.Seq + 1,
	}
	j.freed = sync.NewCond(&j.mu)
	// A process that was killed may have left names that are not durable yet.
	if err := errors.Join(disk.MakeDir(dir), disk.SyncDir(dir)); err != nil {
		return nil, nil, fmt.Errorf("open journal: %w", err)
	}
	found, err := j.scan(folded)
	var tail []Ref
	if err == nil {
		tail, err = j.resume(found, folded.Seq)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open journal: %w", err), j.Close())
	}
	return j, tail, nil
}

// scan opens all segment files. It returns, unsorted, the frames after the position folded and the last before them.
func (j *Journal) scan(folded Position) ([]Ref, error) {
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, err
	}
	var (
		found  []Ref
		newest Ref
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
		case folded.Seq > 0 && salt != folded.Salt:
			return nil, fmt.Errorf("%s belongs to another database: restore both from the same backup", path)
		case len(j.segments) > 1 && salt != j.salt:
			return nil, fmt.Errorf("%s and %s belong to different journals: move the one that is not yours "+
				"out of the folder",
				j.segments[0].Path, path)
		}
		j.salt = salt
		j.lastName = max(j.lastName, number)
		j.bytes += int64(s.size)
		for p := range framesOf(s, content, salt) {
			switch {
			case p.Seq > folded.Seq:
				found = append(found, p)
			case p.Seq >= newest.Seq:
				newest = p
			}
		}
	}
	if newest.segment != nil {
		found = append(found, newest)
	}
	return found, nil
}

// framesOf yields every frame in a segment file whose checksums match, also those left from an earlier use of the
// segment. It raises s.last to the highest sequence that it finds.
func framesOf(s *segment, content []byte, salt Salt) iter.Seq[Ref] {
	return func(yield func(Ref) bool) {
		for offset := segmentHeader; offset+frameHeader <= len(content); {
			f, ok := readFrame(content, offset, salt)
			if !ok {
				offset += frameAlign
				continue
			}
			s.last = max(s.last, f.seq)
			offset = f.end()
			if !yield(Ref{f.seq, f.arrivals, len(f.body), s, f.offset}) {
				return
			}
		}
	}
}

// resume checks that no frame after the sequence number folded is missing, and returns these frames in order. The next
// Append will write after the last frame.
func (j *Journal) resume(found []Ref, folded uint64) (tail []Ref, err error) {
	if len(found) == 0 && folded == 0 {
		return nil, nil
	}
	slices.SortFunc(found, func(a, b Ref) int { return cmp.Compare(a.Seq, b.Seq) })
	expected := folded + 1
	for _, f := range found {
		switch {
		case f.Seq <= folded:
			continue
		case f.Seq < expected:
			return nil, fmt.Errorf("frame %d exists twice, the second time in %s: move the segment that does not "+
				"belong here out of the folder", f.Seq, f.segment.Path)
		case f.Seq > expected:
			return nil, fmt.Errorf("frame %d is damaged or missing, and frame %d, written after it, is in %s. "+
				"Acknowledged reports are in between: %s", expected, f.Seq, f.segment.Path, disk.Remedy)
		}
		tail = append(tail, f)
		expected++
	}
	newest := uint64(0)
	if len(found) > 0 {
		newest = found[len(found)-1].Seq
	}
	if newest < folded {
		return nil, fmt.Errorf("it ends with frame %d, but the database has already folded frame %d: a segment is "+
			"missing, or journal and database were not copied at the same time. If a segment was moved, put it back; "+
			"else %s", newest, folded, disk.Remedy)
	}
	last := found[len(found)-1]
	j.next, j.synced = last.Seq+1, last.Seq
	j.current, j.offset = last.segment, last.end()
	return tail, j.rewrite(last)
}

// rewrite writes a frame again in its place and syncs it. After a failed sync, a frame may be readable from the page
// cache without being on disk. So Open rewrites the last frame before anything relies on it.
func (j *Journal) rewrite(p Ref) error {
	whole, _, err := j.readWhole(p)
	if err != nil {
		return err
	}
	if _, err := p.segment.file.WriteAt(whole, int64(p.offset)); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return disk.Datasync(p.segment.file)
}

// Read reads the body of a frame that is not released yet and verifies its checksums. A mismatch is a fatal error.
func (j *Journal) Read(p Ref) (body []byte, err error) {
	_, f, err := j.readWhole(p)
	return f.body, err
}

// readWhole does the same as Read, but also returns all bytes of the frame, including header and padding.
func (j *Journal) readWhole(p Ref) ([]byte, frame, error) {
	whole := make([]byte, p.end()-p.offset)
	if _, err := p.segment.file.ReadAt(whole, int64(p.offset)); err != nil {
		return nil, frame{}, fmt.Errorf("read journal: %w", err)
	}
	f, ok := readFrame(whole, 0, j.salt)
	if !ok || f.seq != p.Seq {
		return nil, frame{}, disk.Fatal(fmt.Errorf("frame %d in %s is damaged: its checksum matched when it "+
			"was written", p.Seq, p.segment.Path))
	}
	return whole, f, nil
}

// Create creates a journal in dir with one empty frame, whose sequence is previous+1, and returns the frame's position.
func Create(dir string, previous uint64, c Config) (Position, error) {
	j, _, err := Open(dir, Position{}, c)
	if err != nil {
		return Position{}, err
	}
	j.next, j.synced, j.folded = previous+1, previous, previous
	p, _, err := j.Append(Begin(nil), 0)
	return Position{p.Seq, j.salt}, errors.Join(err, j.Close())
}
