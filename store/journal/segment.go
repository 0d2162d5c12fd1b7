package journal

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"

	"github.com/dlrloop/dlrloop/store/disk"
)

// segment is one open file of the journal. The file has a fixed size.
type segment struct {
	disk.Watched
	file *os.File
	size int    // bytes, header included
	last uint64 // sequence of the last frame in it; 0 if it has none

	// The appender does not write to a stale segment, so that Scrub can overwrite it. A clean segment has only zeros after
	// its header.
	stale atomic.Bool
	clean bool
}

// createSegment creates a file of size bytes, filled with zeros after its header, and syncs the file and its directory.
// It writes under a temporary name first, so that path never holds an incomplete segment.
func createSegment(path string, size int, s Salt) (_ *segment, err error) {
	temporary := path + ".new"
	file, err := os.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create journal segment: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("create journal segment: %w", err), file.Close())
			_ = os.Remove(temporary) // the next start removes it otherwise
		}
	}()
	header := make([]byte, segmentHeader)
	copy(header, segmentMagic)
	binary.LittleEndian.PutUint32(header[8:], segmentFormat)
	binary.LittleEndian.PutUint32(header[12:], crc32.Checksum(s[:], castagnoli))
	copy(header[16:], s[:])
	binary.LittleEndian.PutUint32(header[24:], uint32(size))
	if _, err = file.Write(header); err != nil {
		return nil, err
	}
	zeros := make([]byte, 1<<20)
	for written := segmentHeader; written < size; {
		n, err := file.Write(zeros[:min(len(zeros), size-written)])
		if err != nil {
			return nil, err
		}
		written += n
	}
	if err = file.Sync(); err != nil {
		return nil, disk.Fatal(err)
	}
	if err = os.Rename(temporary, path); err != nil {
		return nil, err
	}
	if err = disk.SyncDir(filepath.Dir(path)); err != nil {
		return nil, disk.Fatal(err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return &segment{Watched: disk.Watched{Path: path, Info: info}, file: file, size: size, clean: true}, nil
}

// openSegment opens a segment file, verifies its header and reads the whole file into content, which uses the memory of
// buf if that is large enough. s is the journal's salt, from the header.
func openSegment(path string, buf []byte) (_ *segment, content []byte, s Salt, err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, s, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	header := make([]byte, segmentHeader)
	n, err := io.ReadFull(file, header)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, s, err
	}
	if n < segmentHeader || !bytes.HasPrefix(header, []byte(segmentMagic)) {
		return nil, nil, s, fmt.Errorf("%s is damaged: it does not start with the header of a journal segment: %s",
			path, disk.Remedy)
	}
	if format := binary.LittleEndian.Uint32(header[8:]); format != segmentFormat {
		return nil, nil, s, fmt.Errorf("%s has format %d, this version reads format %d: use the version that "+
			"wrote it, or a newer one", path, format, segmentFormat)
	}
	copy(s[:], header[16:])
	if crc32.Checksum(s[:], castagnoli) != binary.LittleEndian.Uint32(header[12:]) {
		return nil, nil, s, fmt.Errorf("%s is damaged: the checksum of its header does not match: %s",
			path, disk.Remedy)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, nil, s, err
	}
	size := int(binary.LittleEndian.Uint32(header[24:]))
	if int64(size) != info.Size() {
		return nil, nil, s, fmt.Errorf("%s is damaged: it has %d bytes and should have %d: %s",
			path, info.Size(), size, disk.Remedy)
	}
	content = slices.Grow(buf[:0], size)[:size]
	if _, err := file.ReadAt(content, 0); err != nil {
		return nil, nil, s, err
	}
	return &segment{Watched: disk.Watched{Path: path, Info: info}, file: file, size: size}, content, s, nil
}

func newSalt() (s Salt) {
	rand.Read(s[:]) //nolint:errcheck // it never fails
	return s
}
