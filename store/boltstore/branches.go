package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// errBranch means that an inner page of bbolt's search tree has a wrong key for a page below it. A search may then miss
// rows, and the next write would do more damage.
var errBranch = errors.New("a branch page does not name a page by its first key")

// pageReader reads the pages of bbolt's search trees directly from the database file. It returns an error for a page
// that is free or that it has read before.
type pageReader struct {
	tx      *bolt.Tx
	file    *os.File
	reached map[uint64]bool // ids of the pages read so far
}

const (
	pageHeader  = 16
	pageElement = 16
	branchPage  = 1
)

// first reads a page and all pages below it, and returns their first key. ok is false if an inner page has a wrong key
// for a page below it.
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

// keyAt returns one key of a page. element is the offset of the key's entry in the page. At the offset sizes are two
// 32-bit integers: the distance from the entry to the key, and the key's length.
func keyAt(page []byte, element, sizes int) ([]byte, error) {
	if len(page) >= element+pageElement {
		at := element + int(binary.NativeEndian.Uint32(page[sizes:]))
		if end := at + int(binary.NativeEndian.Uint32(page[sizes+4:])); end <= len(page) {
			return page[at:end], nil
		}
	}
	return nil, fmt.Errorf("%w: a key lies outside its page", store.ErrDamaged)
}

// branches checks the inner pages of the search tree of each bucket (a named table). It adds damaged buckets to v.copy,
// so that copyBucket rebuilds them. If the list of buckets is damaged, it returns an error.
func (v *verifier) branches(tx *bolt.Tx) error {
	file, err := os.Open(tx.DB().Path())
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // opened only for reading
	p := pageReader{tx: tx, file: file, reached: make(map[uint64]bool)}
	if _, ok, err := p.first(uint64(tx.Cursor().Bucket().Root())); err != nil || !ok {
		return errors.Join(err, fmt.Errorf("%w: the list of buckets: %w", store.ErrDamaged, errBranch))
	}
	for _, name := range schema.Buckets {
		root := uint64(tx.Bucket(name).Root())
		if root == 0 {
			continue // an inline bucket, which has no page of its own
		}
		key, ok, err := p.first(root)
		if err != nil {
			return err
		}
		if !ok {
			v.copy[string(name)] = true
			v.add(schema.Damage(name, key, errBranch))
		}
	}
	return nil
}
