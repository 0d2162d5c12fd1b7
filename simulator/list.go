package simulator

import (
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
	p := page{size: defaultPageSize, start: now.Add(-defaultWindow), reference: query.Get("client_reference")}
	for _, number := range []struct {
		key      string
		into     *int
		min, max int
	}{
		{"page", &p.number, 0, 1 << 30},
		{"page_size", &p.size, 1, maxPageSize},
	} {
		text := query.Get(number.key)
		if text == "" {
			continue
		}
		value, err := strconv.Atoi(text)
		if err != nil {
			return p, invalidFormat(text, number.key)
		}
		if value < number.min || value > number.max {
			return p, violation("%s must be between %d and %d", number.key, number.min, number.max)
		}
		*number.into = value
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
	query := c.URL.Query()
	p, err := readPage(query, c.started)
	if err != nil {
		return nil, err
	}
	wanted, err := readFilter(query)
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
		if b.plan != c.plan || p.reference != "" && (b.members.ClientReference == nil || *b.members.ClientReference != p.reference) {
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
