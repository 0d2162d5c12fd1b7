package simulator

import (
	"encoding/json"
	"strings"
	"time"
)

// timestamp is a point in time as Sinch writes it: UTC with milliseconds. It reads what clients really send: up to nine
// fraction digits or minute precision, Z, an offset with or without a colon, no zone (then UTC), or a date alone.
type timestamp struct{ time.Time }

const (
	milliseconds = "2006-01-02T15:04:05.000Z"
	// operatorTime is how times out of the carrier's receipt were captured: no fraction, minute precision.
	operatorTime = "2006-01-02T15:04:00Z"
)

func stamp(t time.Time) timestamp { return timestamp{t.UTC().Truncate(time.Millisecond)} }

func (t timestamp) MarshalJSON() ([]byte, error) {
	return []byte(`"` + t.UTC().Format(milliseconds) + `"`), nil
}

// UnmarshalJSON refuses what is no time with the error that Sinch would answer.
func (t *timestamp) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return invalidJSON("a timestamp must be a string")
	}
	parsed, ok := parseTime(text)
	if !ok {
		return invalidFormat(text, "timestamp")
	}
	*t = stamp(parsed)
	return nil
}

// timeForms are the forms of a time without its zone; a fraction is accepted after the seconds without being named.
var timeForms = []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"}

func parseTime(text string) (time.Time, bool) {
	text = strings.ToUpper(text)
	for _, form := range timeForms {
		for _, zone := range []string{"Z07:00", "Z0700", ""} {
			if t, err := time.Parse(form+zone, text); err == nil {
				return t.UTC(), true
			}
		}
	}
	return time.Time{}, false
}
