package boltstore

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// segment is one open file of the journal.
type segment struct {
	watched
	file *os.File
	size int    // bytes, header included
	last uint64 // sequence of the last frame in it; 0 if it was never used
}

// createSegment creates a segment full of zeros and syncs file and directory. After an error no file remains under
// path.
func createSegment(path string, size int, s salt) (_ *segment, err error) {
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
		return nil, fatal(err)
	}
	if err = os.Rename(temporary, path); err != nil {
		return nil, err
	}
	if err = syncDir(filepath.Dir(path)); err != nil {
		return nil, fatal(err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return &segment{watched: watched{path, info}, file: file, size: size}, nil
}

// openSegment opens a segment, checks its header and reads the whole file. content uses the memory of buf if that is
// large enough.
func openSegment(path string, buf []byte) (_ *segment, content []byte, s salt, err error) {
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
			path, journalRemedy)
	}
	if format := binary.LittleEndian.Uint32(header[8:]); format != segmentFormat {
		return nil, nil, s, fmt.Errorf("%s has format %d, this version reads format %d: use the version that "+
			"wrote it, or a newer one", path, format, segmentFormat)
	}
	copy(s[:], header[16:])
	if crc32.Checksum(s[:], castagnoli) != binary.LittleEndian.Uint32(header[12:]) {
		return nil, nil, s, fmt.Errorf("%s is damaged: the checksum of its header does not match: %s",
			path, journalRemedy)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, nil, s, err
	}
	size := int(binary.LittleEndian.Uint32(header[24:]))
	if int64(size) != info.Size() {
		return nil, nil, s, fmt.Errorf("%s is damaged: it has %d bytes and should have %d: %s",
			path, info.Size(), size, journalRemedy)
	}
	content = slices.Grow(buf[:0], size)[:size]
	if _, err := file.ReadAt(content, 0); err != nil {
		return nil, nil, s, err
	}
	return &segment{watched: watched{path, info}, file: file, size: size}, content, s, nil
}

func newSalt() (s salt) {
	rand.Read(s[:]) //nolint:errcheck // it never fails
	return s
}

// makeDir creates a directory and its missing parents, and syncs the parents so that the names survive a power loss.
func makeDir(path string) error {
	path = filepath.Clean(path)
	parent := filepath.Dir(path)
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrNotExist) && parent != path {
		if err = makeDir(parent); err == nil {
			err = os.Mkdir(path, 0o700)
		}
	}
	if err == nil {
		return syncDir(parent)
	}
	if info, statErr := os.Stat(path); statErr != nil || !info.IsDir() {
		return err
	}
	_ = syncDir(parent) // an earlier start may have been killed before this sync; the parent may belong to another user
	return nil
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
