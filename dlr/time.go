package dlr

import (
	"strings"
	"time"
)

// layouts lists the time layouts that ParseTime tries, in order. None has a fraction of a second, because time.Parse
// accepts a fraction after the seconds of any layout.
var layouts = [...]string{
	"2006-01-02T15:04:05Z07:00",
	"2006-01-02T15:04:05Z0700",
	"2006-01-02T15:04:05Z07",
	"2006-01-02T15:04:05",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04Z0700",
	"2006-01-02T15:04Z07",
	"2006-01-02T15:04",
	"2006-01-02",
}

// maxTime is the maximum length in bytes of a text that ParseTime accepts. Every valid timestamp is shorter.
const maxTime = 64

// ParseTime parses an ISO 8601 timestamp as Sinch and its clients write it: a date, or a date and a time with optional
// seconds, fraction digits and zone (Z, z, ±hh:mm, ±hhmm or ±hh). A timestamp without a zone is read as UTC. The result
// is in UTC, truncated to the millisecond. For any other text, ParseTime returns the zero time and false. It does the
// same for times up to 1970-01-01T00:00Z, which are placeholders, and for times after the year 9999, which JSON cannot
// express.
func ParseTime(s string) (time.Time, bool) {
	if len(s) > maxTime {
		return time.Time{}, false
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return inRange(t)
	}
	s = strings.ToUpper(strings.TrimSpace(s))
	if len(s) > len("2006-01-02") && s[len("2006-01-02")] == ' ' {
		s = s[:len("2006-01-02")] + "T" + s[len("2006-01-02")+1:]
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return inRange(t)
		}
	}
	return time.Time{}, false
}

const year10000 = 253402300800000 // start of the year 10000 in Unix milliseconds

func inRange(t time.Time) (time.Time, bool) {
	t = t.UTC().Truncate(time.Millisecond)
	if ms := t.UnixMilli(); ms <= 0 || ms >= year10000 {
		return time.Time{}, false
	}
	return t, true
}
