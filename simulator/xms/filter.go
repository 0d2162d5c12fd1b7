package xms

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Filter selects messages by delivery status and code. The zero Filter selects all messages. ReadFilter reads one from
// a query.
type Filter struct {
	statuses []string // compared without regard to case; empty: any
	codes    []int    // empty: any
}

// ReadFilter reads a Filter from the query parameters status and code, which are comma-separated lists. If a parameter
// is missing, the Filter selects every status or every code. It returns an *Error if a code is not an integer.
func ReadFilter(query url.Values) (Filter, error) {
	f := Filter{statuses: splitList(query.Get("status"))}
	for _, text := range splitList(query.Get("code")) {
		code, err := strconv.Atoi(text)
		if err != nil {
			return f, InvalidFormat(text, "code")
		}
		f.codes = append(f.codes, code)
	}
	return f, nil
}

// Matches reports whether f selects messages with this delivery status and code. It ignores the case of status.
func (f Filter) Matches(status string, code int) bool {
	named := slices.ContainsFunc(f.statuses, func(s string) bool { return strings.EqualFold(s, status) })
	return (len(f.statuses) == 0 || named) && (len(f.codes) == 0 || slices.Contains(f.codes, code))
}

func splitList(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
