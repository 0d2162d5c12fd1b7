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

// segment is one file of the journal.
type segment struct {
	watched
	file *os.File
	size int    // bytes, header included
	last uint64 // sequence of the last frame in it; 0 when it was never used
}

// createSegment writes a new file full of zeros under its name, or leaves nothing.
func createSegment(path string, size int, s salt) (_ *segment, err error) {
	temporary := path + ".new"
	file, err := os.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make journal segment: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("make journal segment: %w", err), file.Close())
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
	if err = syncFolder(filepath.Dir(path)); err != nil {
		return nil, fatal(err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return &segment{watched: watched{path, info}, file: file, size: size}, nil
}

// openSegment opens a segment, checks its header and reads it whole, into buf if that has the room.
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
	if n, err := io.ReadFull(file, header); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, s, err
	} else if n < segmentHeader || !bytes.HasPrefix(header, []byte(segmentMagic)) {
		return nil, nil, s, fmt.Errorf("%s is damaged: it does not begin as a journal segment: %s", path, wayOut)
	}
	if format := binary.LittleEndian.Uint32(header[8:]); format != segmentFormat {
		return nil, nil, s, fmt.Errorf("%s has format %d, this version knows format %d: use the version that wrote it, or a newer one", path, format, segmentFormat)
	}
	copy(s[:], header[16:])
	if crc32.Checksum(s[:], castagnoli) != binary.LittleEndian.Uint32(header[12:]) {
		return nil, nil, s, fmt.Errorf("%s is damaged: its header does not verify: %s", path, wayOut)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, nil, s, err
	}
	size := int(binary.LittleEndian.Uint32(header[24:]))
	if int64(size) != info.Size() {
		return nil, nil, s, fmt.Errorf("%s is damaged: it has %d bytes and should have %d: %s", path, info.Size(), size, wayOut)
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

// makeFolder makes a folder, and those above it that are not there, and makes their names durable.
func makeFolder(path string) error {
	path = filepath.Clean(path)
	parent := filepath.Dir(path)
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrNotExist) && parent != path {
		if err = makeFolder(parent); err == nil {
			err = os.Mkdir(path, 0o700)
		}
	}
	if err == nil {
		return syncFolder(parent)
	}
	if info, statErr := os.Stat(path); statErr != nil || !info.IsDir() {
		return err
	}
	_ = syncFolder(parent) // for a start that was cut before it; the parent need not be ours to sync
	return nil
}

// syncFolder makes the names in a folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
