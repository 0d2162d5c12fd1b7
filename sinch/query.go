package sinch

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// withQuery returns path?query, or only the path if the query is empty.
func withQuery(path string, query url.Values) string {
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

// setTexts sets a query parameter to the values, joined with commas. A blank value or one with a comma is an error.
func setTexts[T ~string](query url.Values, name string, values []T) error {
	if len(values) == 0 {
		return nil
	}
	var joined []string
	for i, v := range values {
		if strings.TrimSpace(string(v)) == "" || strings.Contains(string(v), ",") {
			return invalid(fmt.Sprintf("%s[%d]", name, i), "it must not be blank or contain a comma")
		}
		joined = append(joined, string(v))
	}
	query.Set(name, strings.Join(joined, ","))
	return nil
}

// setStates sets the query parameters status and code, by which Sinch selects reports. An empty list means any.
func setStates(query url.Values, statuses []dlr.Status, codes []int) error {
	var joined []string
	for _, code := range codes {
		joined = append(joined, strconv.Itoa(code))
	}
	return firstError(setTexts(query, "status", statuses), setTexts(query, "code", joined))
}

// setWindow sets the query parameters start_date and end_date, except for a zero time. An argument that Sinch forbids
// is an *InvalidError.
func setWindow(query url.Values, pageSize int, start, end time.Time) error {
	if pageSize < 0 || pageSize > maxPageSize {
		return invalid("page_size", "it must be between 1 and %d; leave it out for %d", maxPageSize, maxPageSize)
	}
	if !start.IsZero() && !end.IsZero() && !start.Before(end) {
		return invalid("start_date", "it must be before end_date")
	}
	for name, t := range map[string]time.Time{"start_date": start, "end_date": end} {
		if s := timestamp(t); s != nil {
			query.Set(name, *s)
		}
	}
	return nil
}

func setReference(query url.Values, reference string) error {
	if reference != "" {
		query.Set("client_reference", reference)
	}
	return lengthRule("client_reference", reference, maxReference)
}
