package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
)

// errBranch is why a bucket is damaged of which a branch page names a page by another key than its first. Searches may
// miss rows then, and bbolt would damage more with the next write.
var errBranch = errors.New("a branch page does not name a page by its first key")

// pageReader reads pages as bbolt writes them: a header of id, flags, count and overflow, and elements that say where
// their keys are. It fails if a page is reached twice, or is free: what a mend writes would damage more.
type pageReader struct {
	tx      *bolt.Tx
	file    *os.File
	reached map[uint64]bool
}

const (
	pageHeader  = 16
	pageElement = 16
	branchPage  = 1
)

// first returns the first key of a page and of all below it, and false if a branch names one of them by another key.
func (p *pageReader) first(id uint64) (key []byte, ok bool, err error) {
	info, err := p.tx.Page(int(id))
	switch {
	case err != nil:
		return nil, false, err
	case info == nil || info.Type == "free" || p.reached[id]:
		return nil, false, fmt.Errorf("%w: page %d is free, missing or used twice", store.ErrDamaged, id)
	}
	p.reached[id] = true
	page := make([]byte, p.tx.DB().Info().PageSize*(1+info.OverflowCount))
	if _, err := p.file.ReadAt(page, int64(id)*int64(p.tx.DB().Info().PageSize)); err != nil {
		return nil, false, err
	}
	if binary.NativeEndian.Uint16(page[8:]) != branchPage {
		if info.Count == 0 {
			return nil, true, nil
		}
		key, err = keyAt(page, pageHeader, pageHeader+4)
		return key, err == nil, err
	}
	ok = true
	for i := range info.Count {
		element := pageHeader + pageElement*i
		own, err := keyAt(page, element, element)
		if err != nil {
			return nil, false, err
		}
		below, sound, err := p.first(binary.NativeEndian.Uint64(page[element+8:]))
		if err != nil {
			return nil, false, err
		}
		if ok = ok && sound && bytes.Equal(below, own); i == 0 {
			key = own
		}
	}
	return key, ok, nil
}

// keyAt reads the key of an element, whose place and size are at sizes.
func keyAt(page []byte, element, sizes int) ([]byte, error) {
	if len(page) >= element+pageElement {
		at := element + int(binary.NativeEndian.Uint32(page[sizes:]))
		if end := at + int(binary.NativeEndian.Uint32(page[sizes+4:])); end <= len(page) {
			return page[at:end], nil
		}
	}
	return nil, fmt.Errorf("%w: a key lies outside of its page", store.ErrDamaged)
}

// branches verifies the pages of all buckets, and those that list the buckets: these cannot be made anew.
func (v *verifier) branches(tx *bolt.Tx) error {
	file, err := os.Open(tx.DB().Path())
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it is only read
	p := pageReader{tx: tx, file: file, reached: make(map[uint64]bool)}
	if _, ok, err := p.first(uint64(tx.Cursor().Bucket().Root())); err != nil || !ok {
		return errors.Join(err, fmt.Errorf("%w: the list of buckets: %w", store.ErrDamaged, errBranch))
	}
	for _, name := range buckets {
		root := uint64(tx.Bucket(name).Root())
		if root == 0 {
			continue // it is so small that it has no page
		}
		key, ok, err := p.first(root)
		if err != nil {
			return err
		}
		if !ok {
			v.copy[string(name)] = true
			v.add(damage(name, key, errBranch))
		}
	}
	return nil
}
