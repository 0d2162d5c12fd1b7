package xms

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	defaultPageSize = 30
	maxPageSize     = 100
	defaultWindow   = 24 * time.Hour // from start_date to now, if start_date is missing
)

// Page is the part of a list that a query asks for: by page number and size, time range and client_reference. Create it
// with ReadPage or ReadPageNumber.
type Page struct {
	Number    int // from 0
	size      int
	start     time.Time // inclusive
	end       time.Time // exclusive; zero: unlimited
	reference string    // client_reference; empty: any
}

// ReadPage reads a Page from the query parameters page and page_size, like ReadPageNumber, and start_date, end_date and
// client_reference. A missing start_date means 24 hours before now; a missing end_date or client_reference means no
// restriction. If a parameter is invalid, the error wraps an *Error.
func ReadPage(query url.Values, now time.Time) (Page, error) {
	p, err := ReadPageNumber(query)
	if err != nil {
		return p, err
	}
	p.start, p.reference = now.Add(-defaultWindow), query.Get("client_reference")
	for _, date := range []struct {
		key  string
		into *time.Time
	}{
		{"start_date", &p.start},
		{"end_date", &p.end},
	} {
		text := query.Get(date.key)
		if text == "" {
			continue
		}
		// Some clients do not escape the plus of an offset, which then reads as a space.
		at, ok := ParseTime(strings.ReplaceAll(text, " ", "+"))
		if !ok {
			return p, InvalidFormat(text, date.key)
		}
		*date.into = at
	}
	return p, nil
}

// ReadPageNumber reads a Page from the query parameters page and page_size only, with the defaults 0 and 30. If one of
// them is invalid, the error wraps an *Error.
func ReadPageNumber(query url.Values) (Page, error) {
	p := Page{size: defaultPageSize}
	return p, errors.Join(
		ReadInteger(query, "page", &p.Number, 0, 1<<30),
		ReadInteger(query, "page_size", &p.size, 1, maxPageSize),
	)
}

// ReadInteger stores the query parameter with this key as an integer in *into. If the parameter is missing, *into stays
// unchanged. It returns an *Error if the value is not an integer between least and most.
func ReadInteger(query url.Values, key string, into *int, least, most int) error {
	text := query.Get(key)
	if text == "" {
		return nil
	}
	value, err := strconv.Atoi(strings.TrimSpace(text)) // an unescaped plus sign arrives as a space
	if err != nil {
		return InvalidFormat(text, key)
	}
	if value < least || value > most {
		return Violation("%s must be between %d and %d", key, least, most)
	}
	*into = value
	return nil
}

// Query parses the query of a request. It keeps a value with an invalid %-escape unchanged, so it cannot fail.
func Query(r *http.Request) url.Values {
	values := url.Values{}
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(value); err == nil { // some clients do not escape
			value = plain
		}
		values.Add(key, value)
	}
	return values
}

// Matches reports whether b has the client_reference that p asks for. If p asks for none, every batch matches.
func (p Page) Matches(b *Batch) bool {
	return p.reference == "" || b.ClientReference != nil && *b.ClientReference == p.reference
}

// Includes reports whether the given time is in the time range of p: at or after start_date and before end_date. A Page
// from ReadPageNumber includes all times.
func (p Page) Includes(at time.Time) bool {
	return !at.Before(p.start) && (p.end.IsZero() || at.Before(p.end))
}

// Bounds returns which elements of a list of length n are on the page: list[from:to]. If the page is beyond the end of
// the list, from and to are n.
func (p Page) Bounds(n int) (from, to int) {
	from = min(p.Number*p.size, n)
	return from, min(from+p.size, n)
}

// Senders lists the senders whose batches a query asks for. An empty list means all batches.
type Senders []string

// ReadSenders reads the comma-separated list of senders in the query parameter "from", and reduces phone numbers to
// digits. The result is nil if the list is missing or empty.
func ReadSenders(query url.Values) Senders {
	var senders Senders
	for sender := range strings.SplitSeq(query.Get("from"), ",") {
		if sender = strings.TrimSpace(sender); sender == "" {
			continue
		}
		senders = append(senders, NormalizeSender(sender))
	}
	return senders
}

// Match reports whether the sender of batch b is in the list. An empty list matches every batch.
func (s Senders) Match(b *Batch) bool {
	return len(s) == 0 || b.From != nil && slices.Contains(s, *b.From)
}
