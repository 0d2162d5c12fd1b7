package sinch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// listing is a list that comes in pages.
type listing[T any] struct {
	operation Operation
	path      string
	query     url.Values
	size      int    // of a page; zero is the largest
	invalid   error  // why there must be no call
	member    string // which has the entries
	// parse reads an entry and what it is known by.
	parse func(json.RawMessage) (T, string, error)
}

// all yields the entries of all pages, an *EntryError for each that cannot be read, and the error that ended the list, if any.
func all[T any](ctx context.Context, c *Client, l listing[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := l.walk(ctx, c, yield); err != nil {
			var none T
			yield(none, err)
		}
	}
}

// maxRepeats is how many pages in a row may bring nothing new. What is added while one reads moves the rest on to
// later pages, so that one or the other such page is in order.
const maxRepeats = 3

// walk yields what a page does not share with the one before. It ends when it has had as many entries as there are by the
// latest answer's count (or, where that has none, with a page that is not full), and at an empty page.
func (l listing[T]) walk(ctx context.Context, c *Client, yield func(T, error) bool) error {
	if l.invalid != nil {
		return failed(l.operation, l.invalid)
	}
	l.size, l.query = cmp.Or(l.size, maxPageSize), maps.Clone(l.query) // each walk has its own
	var before []string
	received, repeats := 0, 0
	for number := 0; ; number++ {
		p, err := l.page(ctx, c, number)
		if err != nil || len(p.keys) == 0 {
			return err
		}
		fresh := 0
		for i, e := range p.entries {
			if e.err == nil && slices.Contains(before, p.keys[i]) {
				continue
			}
			if e.err == nil || !slices.Equal(before, p.keys) {
				fresh++
			}
			if !yield(e.value, e.err) {
				return nil
			}
		}
		received += len(p.keys)
		last := p.last(received, l.size)
		if repeats++; fresh > 0 {
			repeats = 0
		}
		switch {
		case repeats > maxRepeats, repeats > 0 && last:
			return c.unreadable(l.operation, p.answer, errRepeats)
		case last:
			return nil
		}
		before = p.keys
	}
}

// page is one answer of a list.
type page[T any] struct {
	answer  answer
	count   *int     // of the entries of all pages
	keys    []string // what the entries are known by; for one that cannot be read, its JSON
	entries []entry[T]
}

// entry is one of a list. err is an *EntryError where it cannot be read.
type entry[T any] struct {
	value T
	err   error
}

func (p page[T]) last(received, size int) bool {
	if p.count == nil {
		return len(p.keys) < size
	}
	return received >= *p.count
}

var (
	errRepeats   = errors.New("the pages repeat themselves")
	errOtherPage = errors.New("it is not the page asked for")
	errNoList    = errors.New("it has no list of entries")
)

// page reads a page by its number, from 0.
func (l listing[T]) page(ctx context.Context, c *Client, number int) (page[T], error) {
	l.query.Set("page", strconv.Itoa(number))
	l.query.Set("page_size", strconv.Itoa(l.size))
	a, err := c.read(ctx, call{operation: l.operation, method: http.MethodGet, path: withQuery(l.path, l.query)})
	if err != nil {
		return page[T]{}, err
	}
	p, err := l.parsePage(c, a.body, number)
	if err != nil {
		return p, c.unreadable(l.operation, a, err)
	}
	p.answer = a
	return p, nil
}

func (l listing[T]) parsePage(c *Client, body []byte, number int) (page[T], error) {
	m, err := parseMembers(body)
	list, at := m.list(l.member), m.integer("page")
	switch {
	case err != nil:
		return page[T]{}, err
	case list == nil:
		return page[T]{}, errNoList
	case at != nil && *at != number:
		return page[T]{}, errOtherPage
	}
	p := page[T]{count: m.integer("count")}
	for i, raw := range list {
		value, key, err := l.parse(raw)
		if err != nil {
			key, err = string(raw), &EntryError{l.operation, number + 1, i + 1, c.batchOf(raw), err}
		}
		p.keys, p.entries = append(p.keys, key), append(p.entries, entry[T]{value, err})
	}
	return p, nil
}
