package boltstore

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"

	"github.com/dlrloop/dlrloop/store"
)

// pageFile reads what bbolt's API does not tell from a database file: which pages are free. It is used in a write
// transaction, so that no other one changes the file meanwhile.
type pageFile struct {
	file *os.File
	size int64 // of a page in bytes
}

// freePages are the free pages of a database, including those that an open read may still use.
type freePages struct {
	set   pageSet
	spans map[int]int // how many spans of consecutive free pages there are, by their length in pages
	pages uint64      // how many pages the database has; the file may have more
}

// These are offsets and values in the pages of a bbolt file. Integers have the byte order of the machine.
const (
	metaFreelist = pageHeader + 32 // the page that lists the free pages
	metaPages    = pageHeader + 40 // how many pages are in use or free
	metaTx       = pageHeader + 48 // the transaction that wrote the page
	freelistPage = 0x10            // flag of a page that lists the free pages
	manyFree     = 0xffff          // so many free pages, or more: their number precedes the list
)

// free returns the free pages in the state that the transaction with this id has committed.
func (p pageFile) free(tx uint64) (freePages, error) {
	f := freePages{spans: make(map[int]int)}
	list := int64(-1)
	for i := range int64(2) {
		meta := make([]byte, metaTx+8)
		if _, err := p.file.ReadAt(meta, i*p.size); err != nil {
			return f, err
		}
		if binary.NativeEndian.Uint64(meta[metaTx:]) == tx {
			f.pages = binary.NativeEndian.Uint64(meta[metaPages:])
			list = int64(binary.NativeEndian.Uint64(meta[metaFreelist:]))
		}
	}
	if list < 2 || uint64(list) >= f.pages {
		return f, fmt.Errorf("%w: its list of free pages is missing", store.ErrDamaged)
	}
	f.set = make(pageSet, (f.pages+63)/64)
	r := bufio.NewReaderSize(io.NewSectionReader(p.file, list*p.size, int64(f.pages)*p.size), 256<<10)
	header := make([]byte, pageHeader)
	if _, err := io.ReadFull(r, header); err != nil {
		return f, err
	}
	count := uint64(binary.NativeEndian.Uint16(header[10:]))
	if binary.NativeEndian.Uint16(header[8:]) != freelistPage {
		return f, fmt.Errorf("%w: page %d is not the list of free pages", store.ErrDamaged, list)
	}
	if count == manyFree {
		if err := binary.Read(r, binary.NativeEndian, &count); err != nil {
			return f, err
		}
	}
	return f, f.read(r, count)
}

// read reads a sorted list of page ids.
func (f *freePages) read(r io.Reader, count uint64) error {
	id, last, length := make([]byte, 8), uint64(0), 0
	for range count {
		if _, err := io.ReadFull(r, id); err != nil {
			return err
		}
		page := binary.NativeEndian.Uint64(id)
		if page <= last || page >= f.pages {
			return fmt.Errorf("%w: its list of free pages is not sorted", store.ErrDamaged)
		}
		if page != last+1 && length > 0 {
			f.spans[length]++
			length = 0
		}
		length++
		last = page
		f.set.add(page)
	}
	if length > 0 {
		f.spans[length]++
	}
	return nil
}

// tail returns the first page behind the last one that is not empty, but at least from. Pages behind the database's
// last one are not empty if a crash interrupted the commit that wrote them.
func (p pageFile) tail(from uint64) (uint64, error) {
	r := bufio.NewReaderSize(io.NewSectionReader(p.file, int64(from)*p.size, 1<<62), 256<<10)
	page := make([]byte, p.size)
	for end, id := from, from; ; id++ {
		switch _, err := io.ReadFull(r, page); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return end, nil
		case err != nil:
			return 0, err
		}
		if !isZero(page) {
			end = id + 1
		}
	}
}

func isZero(page []byte) bool {
	for _, b := range page {
		if b != 0 {
			return false
		}
	}
	return true
}

// pageSet is a set of page ids, one bit each.
type pageSet []uint64

func (s pageSet) add(page uint64) { s[page/64] |= 1 << (page % 64) }

// and removes the pages from s that are not in other, which must not be shorter.
func (s pageSet) and(other pageSet) {
	for i := range s {
		s[i] &= other[i]
	}
}

// count returns how many pages s has.
func (s pageSet) count() (n int) {
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}
