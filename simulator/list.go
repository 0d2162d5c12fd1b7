package simulator

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
	defaultWindow   = 24 * time.Hour
)

// page is the part of a list that a query selects.
type page struct {
	number, size int
	start        time.Time // inclusive
	end          time.Time // exclusive; zero: unlimited
	reference    string
}

// readPage parses the parameters page, page_size, start_date, end_date and client_reference. The default start is 24
// hours before now.
func readPage(query url.Values, now time.Time) (page, error) {
	p := page{start: now.Add(-defaultWindow), reference: query.Get("client_reference")}
	if err := p.readNumbers(query); err != nil {
		return p, err
	}
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
		at, ok := parseTime(strings.ReplaceAll(text, " ", "+"))
		if !ok {
			return p, invalidFormat(text, date.key)
		}
		*date.into = at
	}
	return p, nil
}

// readNumbers parses page and page_size.
func (p *page) readNumbers(query url.Values) error {
	p.size = defaultPageSize
	return errors.Join(
		readNumber(query, "page", &p.number, 0, 1<<30),
		readNumber(query, "page_size", &p.size, 1, maxPageSize),
	)
}

// readNumber parses the optional integer parameter key into *into. If the parameter is missing, it leaves *into
// unchanged.
func readNumber(query url.Values, key string, into *int, least, most int) error {
	text := query.Get(key)
	if text == "" {
		return nil
	}
	value, err := strconv.Atoi(strings.TrimSpace(text)) // an unescaped plus sign arrives as a space
	if err != nil {
		return invalidFormat(text, key)
	}
	if value < least || value > most {
		return violation("%s must be between %d and %d", key, least, most)
	}
	*into = value
	return nil
}

// query parses the query of r. A value with an invalid escape is used literally, since some clients do not escape.
func query(r *http.Request) url.Values {
	values := url.Values{}
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(value); err == nil {
			value = plain
		}
		values.Add(key, value)
	}
	return values
}

// matches reports whether b has the requested client_reference.
func (p page) matches(b *batch) bool {
	return p.reference == "" || b.members.ClientReference != nil && *b.members.ClientReference == p.reference
}

// includes reports whether at lies between start and end.
func (p page) includes(at time.Time) bool {
	return !at.Before(p.start) && (p.end.IsZero() || at.Before(p.end))
}

// bounds returns the index range of the page in a list of n entries.
func (p page) bounds(n int) (from, to int) {
	from = min(p.number*p.size, n)
	return from, min(from+p.size, n)
}

// reportPage is one page of recipient reports. Count is the total over all pages; Size is the number of reports in
// this page.
type reportPage struct {
	Count   int               `json:"count"`
	Page    int               `json:"page"`
	Size    int               `json:"page_size"`
	Reports []recipientReport `json:"delivery_reports"`
}

// listReports lists the reports of a plan's final messages, newest first.
func (s *Simulator) listReports(c *call) (any, error) {
	params := query(c.Request)
	p, err := readPage(params, c.started)
	if err != nil {
		return nil, err
	}
	wanted, err := readFilter(params)
	if err != nil {
		return nil, err
	}
	type found struct {
		batch *batch
		index int
	}
	var all []found
	s.mu.Lock()
	defer s.unlock()
	for _, b := range s.batches {
		if b.plan != c.plan || !b.kept(c.started) || !p.matches(b) {
			continue
		}
		for i := range b.recipients {
			m := &b.recipients[i]
			if m.stage == final && p.includes(m.at) && (wanted == nil || wanted(m)) {
				all = append(all, found{b, i})
			}
		}
	}
	slices.SortStableFunc(all, func(x, y found) int {
		return y.batch.recipients[y.index].at.Compare(x.batch.recipients[x.index].at)
	})
	from, to := p.bounds(len(all))
	listing := reportPage{Count: len(all), Page: p.number, Size: to - from, Reports: []recipientReport{}}
	for _, f := range all[from:to] {
		listing.Reports = append(listing.Reports, s.currentReport(f.batch, f.index))
	}
	return listing, nil
}
