package handlers

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// query reads a request's query. Each parameter is asked for once; err then tells the first fault, or complains of a
// parameter that nobody asked for: a misspelt filter would else answer with everything.
type query struct {
	values url.Values
	read   []string
	fault  error
}

func parseQuery(raw string) *query {
	values, err := url.ParseQuery(raw)
	q := &query{values: values}
	if err != nil {
		q.fail("query", "not percent-encoded as it should be", "name=value pairs, separated by &")
	}
	return q
}

// fail keeps the first fault. It never tells the value: that may be somebody's number, and errors are logged.
func (q *query) fail(name, wrong string, allowed ...string) {
	if q.fault == nil {
		q.fault = badParameter(name, wrong, strings.Join(allowed, ", "))
	}
}

// text is a parameter's value; empty when it is not there.
func (q *query) text(name string) string {
	q.read = append(q.read, name)
	given := q.values[name]
	if len(given) == 0 {
		return ""
	}
	if len(given) > 1 {
		q.fail(name, "given more than once", "one value")
	}
	return given[0]
}

// oneOf is a parameter with a closed set of values, the first of which is the default.
func (q *query) oneOf(name string, allowed ...string) string {
	s := q.text(name)
	if s == "" {
		return allowed[0]
	}
	if !slices.Contains(allowed, s) {
		q.fail(name, "not a value it can have", allowed...)
	}
	return s
}

// status takes any text: Sinch may send statuses that are not documented.
func (q *query) status(name string) dlr.Status { return dlr.ParseStatus(q.text(name)) }

// latest is the last moment that RFC 3339 can write, in Unix seconds.
const latest = 253402300799

// time is a moment, cut to the millisecond; zero when it is not there.
func (q *query) time(name string) time.Time {
	s := q.text(name)
	if s == "" {
		return time.Time{}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 && n <= latest {
		return time.Unix(n, 0).UTC()
	}
	// The + of a zone that was not percent-encoded arrives as a space.
	t, err := time.Parse(time.RFC3339, strings.ReplaceAll(s, " ", "+"))
	if err != nil || t.Unix() < 0 || t.Unix() > latest {
		q.fail(name, "not a time", "RFC 3339 (2026-01-31T15:04:05Z)", "Unix seconds (1769871845)")
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// ordered wants a range to have something in it.
func (q *query) ordered(from, to time.Time) {
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		q.fail("to", "not after from", "a time after from")
	}
}

// step is a duration of whole minutes.
func (q *query) step(name string, fallback time.Duration) time.Duration {
	s := q.text(name)
	if s == "" {
		return fallback
	}
	d, err := time.ParseDuration(s)
	if n, numeric := strconv.ParseInt(s, 10, 32); numeric == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d < time.Minute || d > maxRange || d%time.Minute != 0 {
		q.fail(name, "not a length of whole minutes", "a duration (1m, 15m, 24h)", "seconds (60, 900, 86400)")
		return fallback
	}
	return d
}

// paging is the two parameters that every list has.
func (q *query) paging() store.Paging {
	p := store.Paging{Cursor: q.text("cursor")}
	s := q.text("limit")
	if s == "" {
		return p
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > store.MaxLimit {
		q.fail("limit", "not a number of entries", fmt.Sprintf("1 to %d", store.MaxLimit))
	}
	p.Limit = n
	return p
}

// err is the first fault, or nil.
func (q *query) err() error {
	for _, name := range slices.Sorted(maps.Keys(q.values)) {
		if slices.Contains(q.read, name) {
			continue
		}
		allowed := q.read
		if len(allowed) == 0 {
			allowed = []string{"none"}
		}
		q.fail(fmt.Sprintf("%.40s", name), "no parameter of this address", allowed...)
	}
	return q.fault
}
