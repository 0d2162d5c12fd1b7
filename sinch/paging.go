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

// listing describes how to fetch and decode a list that Sinch returns in pages.
type listing[T any] struct {
	operation Operation
	path      string
	query     url.Values
	size      int    // entries per page; zero means the largest
	invalid   error  // if set, the arguments are invalid and no call is made
	member    string // name of the member that holds the entries
	// parse decodes an entry and returns its key, by which repeated entries are recognized.
	parse func(json.RawMessage) (T, string, error)
}

// all iterates over the entries of all pages of a list. For an entry that cannot be decoded, it yields an *EntryError
// and continues. Any other error ends the iteration.
func all[T any](ctx context.Context, c *Client, l listing[T]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := l.walk(ctx, c, yield); err != nil {
			var none T
			yield(none, err)
		}
	}
}

// maxRepeatedPages is how many pages in a row may have only entries of the page before, until the iteration ends with
// an error. A few are normal, because newly sent batches move older ones to later pages.
const maxRepeatedPages = 3

// walk fetches page after page and yields the entries that were not on the previous page. It returns nil after the last
// page, or if yield returns false.
func (l listing[T]) walk(ctx context.Context, c *Client, yield func(T, error) bool) error {
	if l.invalid != nil {
		return failed(l.operation, l.invalid)
	}
	l.size, l.query = cmp.Or(l.size, maxPageSize), maps.Clone(l.query) // concurrent walks must not share the query
	var previous []string
	received, repeated := 0, 0
	for number := 0; ; number++ {
		p, err := l.page(ctx, c, number)
		if err != nil || len(p.keys) == 0 {
			return err
		}
		added := 0
		for i, e := range p.entries {
			if e.err == nil && slices.Contains(previous, p.keys[i]) {
				continue
			}
			if e.err == nil || !slices.Equal(previous, p.keys) {
				added++
			}
			if !yield(e.value, e.err) {
				return nil
			}
		}
		received += len(p.keys)
		last := p.last(received, l.size)
		if repeated++; added > 0 {
			repeated = 0
		}
		switch {
		case repeated > maxRepeatedPages, repeated > 0 && last:
			return c.decodeError(l.operation, p.answer, errRepeatedPages)
		case last:
			return nil
		}
		previous = p.keys
	}
}

// page is one page of a list, as Sinch answered it.
type page[T any] struct {
	answer  answer
	count   *int     // entries of all pages; nil if the answer has no count
	keys    []string // keys of the entries; for an entry that cannot be decoded, its JSON
	entries []entry[T]
}

// entry is one entry of a list: the decoded value, or an *EntryError if it cannot be decoded.
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
	errRepeatedPages = errors.New("the pages repeat themselves")
	errOtherPage     = errors.New("the answer is not the requested page")
	errNoList        = errors.New("the answer has no list of entries")
)

// page fetches and decodes one page of the list. The first page has number 0.
func (l listing[T]) page(ctx context.Context, c *Client, number int) (page[T], error) {
	l.query.Set("page", strconv.Itoa(number))
	l.query.Set("page_size", strconv.Itoa(l.size))
	a, err := c.read(ctx, call{operation: l.operation, method: http.MethodGet, path: withQuery(l.path, l.query)})
	if err != nil {
		return page[T]{}, err
	}
	p, err := l.parsePage(c, a.body, number)
	if err != nil {
		return p, c.decodeError(l.operation, a, err)
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
