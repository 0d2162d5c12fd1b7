package dlr

import (
	"strings"
	"time"
)

// layouts are tried in turn after the text was brought to one shape; Go's parser takes any number of fraction digits
// after the seconds by itself.
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

// maxTime is more than any timestamp is long.
const maxTime = 64

// ParseTime reads a timestamp as Sinch and its clients write it: ISO 8601 with seconds or only minutes, any number of
// fraction digits, Z, z, ±hh:mm, ±hhmm, ±hh or no zone (then UTC), or a date alone. The result is UTC, cut to the
// millisecond; false means that s is none of these, or not after 1970-01-01T00:00Z and before the year 10000 in UTC:
// earlier times are placeholders for none, later ones cannot be written as JSON.
func ParseTime(s string) (time.Time, bool) {
	if len(s) > maxTime {
		return time.Time{}, false
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return plausible(t)
	}
	s = strings.ToUpper(strings.TrimSpace(s))
	if len(s) > len("2006-01-02") && s[len("2006-01-02")] == ' ' {
		s = s[:len("2006-01-02")] + "T" + s[len("2006-01-02")+1:]
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return plausible(t)
		}
	}
	return time.Time{}, false
}

const year10000 = 253402300800000 // its start in Unix milliseconds

func plausible(t time.Time) (time.Time, bool) {
	t = t.UTC().Truncate(time.Millisecond)
	if ms := t.UnixMilli(); ms <= 0 || ms >= year10000 {
		return time.Time{}, false
	}
	return t, true
}
