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

// page is the part of a listing that a query asks for.
type page struct {
	number, size int
	start        time.Time // inclusive
	end          time.Time // exclusive; zero: none
	reference    string
}

// readPage reads page, page_size, start_date, end_date and client_reference of a query. The start is a day before now unless given.
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

// readNumbers reads page and page_size.
func (p *page) readNumbers(query url.Values) error {
	p.size = defaultPageSize
	return errors.Join(
		readNumber(query, "page", &p.number, 0, 1<<30),
		readNumber(query, "page_size", &p.size, 1, maxPageSize),
	)
}

// readNumber reads a number of a query that may be left out.
func readNumber(query url.Values, key string, into *int, least, most int) error {
	text := query.Get(key)
	if text == "" {
		return nil
	}
	value, err := strconv.Atoi(strings.TrimSpace(text)) // an unescaped plus is a space by now
	if err != nil {
		return invalidFormat(text, key)
	}
	if value < least || value > most {
		return violation("%s must be between %d and %d", key, least, most)
	}
	*into = value
	return nil
}

// query is what r asks. A pair that is not well escaped is read as it stands: some clients escape nothing.
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

// refers says whether b has the client_reference that is asked for.
func (p page) refers(b *batch) bool {
	return p.reference == "" || b.members.ClientReference != nil && *b.members.ClientReference == p.reference
}

// covers says whether something of time at belongs to the listing.
func (p page) covers(at time.Time) bool {
	return !at.Before(p.start) && (p.end.IsZero() || at.Before(p.end))
}

// cut is the page's share of n entries, as a range of their indexes.
func (p page) cut(n int) (from, to int) {
	from = min(p.number*p.size, n)
	return from, min(from+p.size, n)
}

// reportPage is a page of recipient reports. Size is the number of reports in it.
type reportPage struct {
	Count   int               `json:"count"`
	Page    int               `json:"page"`
	Size    int               `json:"page_size"`
	Reports []recipientReport `json:"delivery_reports"`
}

// listReports lists the finished messages of a plan, newest first.
func (s *Simulator) listReports(c *call) (any, error) {
	asked := query(c.Request)
	p, err := readPage(asked, c.started)
	if err != nil {
		return nil, err
	}
	wanted, err := readFilter(asked)
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
		if b.plan != c.plan || !b.kept(c.started) || !p.refers(b) {
			continue
		}
		for i := range b.recipients {
			m := &b.recipients[i]
			if m.stage == final && p.covers(m.at) && (wanted == nil || wanted(m)) {
				all = append(all, found{b, i})
			}
		}
	}
	slices.SortStableFunc(all, func(x, y found) int {
		return y.batch.recipients[y.index].at.Compare(x.batch.recipients[x.index].at)
	})
	from, to := p.cut(len(all))
	listing := reportPage{Count: len(all), Page: p.number, Size: to - from, Reports: []recipientReport{}}
	for _, f := range all[from:to] {
		listing.Reports = append(listing.Reports, s.current(f.batch, f.index))
	}
	return listing, nil
}
