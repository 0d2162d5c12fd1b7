package api

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/store"
)

// query reads the query parameters of a request. Its methods record the first fault, such as an invalid value, and err
// returns it. A parameter that no method has read is a fault, too, since it may be a misspelled filter.
type query struct {
	values url.Values
	read   []string // names of the parameters read
	fault  error
}

func parseQuery(raw string) *query {
	values, err := url.ParseQuery(raw)
	q := &query{values: values}
	if err != nil {
		q.fail("query", "not correctly percent-encoded", "name=value pairs, separated by &")
	}
	return q
}

// fail records a fault of the query parameter of this name: what is wrong, and which values are allowed. Only the first
// fault is kept. The arguments must not quote the parameter's value, which may be a phone number, since faults are
// logged.
func (q *query) fail(name, wrong string, allowed ...string) {
	if q.fault == nil {
		q.fault = problem.BadParameter(name, wrong, strings.Join(allowed, ", "))
	}
}

// text returns the query parameter of this name, or "" if it is missing. If it occurs twice, text records a fault and
// returns the first value.
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

// oneOf returns the query parameter of this name, or allowed[0] if it is missing. If the value is not in the list
// allowed, oneOf still returns it, but records a fault, which the method err returns.
func (q *query) oneOf(name string, allowed ...string) string {
	s := q.text(name)
	if s == "" {
		return allowed[0]
	}
	if !slices.Contains(allowed, s) {
		q.fail(name, "not an allowed value", allowed...)
	}
	return s
}

// status returns the query parameter of this name as a delivery status, or "" if it is missing. Any text is valid,
// since Sinch may add statuses.
func (q *query) status(name string) dlr.Status { return dlr.ParseStatus(q.text(name)) }

// latest is the last second of the year 9999 in Unix seconds. RFC 3339 cannot express a later time.
const latest = 253402300799

// time returns the query parameter of this name, in RFC 3339 or Unix seconds, as a UTC time truncated to the
// millisecond. It returns the zero time if the parameter is missing. An invalid value is also zero, and recorded as a
// fault.
func (q *query) time(name string) time.Time {
	s := q.text(name)
	if s == "" {
		return time.Time{}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 0 && n <= latest {
		return time.Unix(n, 0).UTC()
	}
	// A + that was not percent-encoded arrives as a space.
	t, err := time.Parse(time.RFC3339, strings.ReplaceAll(s, " ", "+"))
	if err != nil || t.Unix() < 0 || t.Unix() > latest {
		q.fail(name, "not a time", "RFC 3339 (2026-01-31T15:04:05Z)", "Unix seconds (1769871845)")
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// ordered records a fault if from is not before to. If from or to is zero, the range is open at that end, and ordered
// records nothing.
func (q *query) ordered(from, to time.Time) {
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		q.fail("to", "not after from", "a time after from")
	}
}

// wholeMinutes returns the query parameter of this name, a duration of whole minutes up to maxRange, or fallback if it
// is missing. Any other value is recorded as a fault, and fallback is returned.
func (q *query) wholeMinutes(name string, fallback time.Duration) time.Duration {
	s := q.text(name)
	if s == "" {
		return fallback
	}
	d, err := time.ParseDuration(s)
	if n, numeric := strconv.ParseInt(s, 10, 32); numeric == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d < time.Minute || d > maxRange || d%time.Minute != 0 {
		q.fail(name, "not a number of whole minutes", "a duration (1m, 15m, 24h)", "seconds (60, 900, 86400)")
		return fallback
	}
	return d
}

// paging returns the query parameters cursor and limit, which every list accepts. A missing one is zero in the result.
// A limit outside 1 to store.MaxLimit is recorded as a fault.
func (q *query) paging() store.Paging {
	p := store.Paging{Cursor: q.text("cursor")}
	s := q.text("limit")
	if s == "" {
		return p
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > store.MaxLimit {
		q.fail("limit", "not a valid number of entries", fmt.Sprintf("1 to %d", store.MaxLimit))
	}
	p.Limit = n
	return p
}

// err returns the first recorded fault as a problem with status 400, or nil if there is none. Call it after all
// parameters have been read, because a parameter that was not read is a fault.
func (q *query) err() error {
	for _, name := range slices.Sorted(maps.Keys(q.values)) {
		if slices.Contains(q.read, name) {
			continue
		}
		allowed := q.read
		if len(allowed) == 0 {
			allowed = []string{"none"}
		}
		q.fail(fmt.Sprintf("%.40s", name), "unknown query parameter", allowed...)
	}
	return q.fault
}
