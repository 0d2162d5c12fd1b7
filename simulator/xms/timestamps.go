package xms

import (
	"encoding/json"
	"strings"
	"time"
)

// Timestamp is a time that is written as Sinch writes times: UTC with milliseconds. It parses the forms that clients
// really send: up to nine fraction digits or minute precision; Z, an offset with or without a colon, or no zone (then
// UTC); or a date only.
type Timestamp struct{ time.Time }

// Stamp returns t in UTC, truncated to the millisecond.
func Stamp(t time.Time) Timestamp { return Timestamp{t.UTC().Truncate(time.Millisecond)} }

// String returns the time as Sinch writes times.
func (t Timestamp) String() string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// MarshalJSON returns the text of String as a JSON string.
func (t Timestamp) MarshalJSON() ([]byte, error) { return []byte(`"` + t.String() + `"`), nil }

// OperatorTime returns t in the form of operator_status_at in captured reports: minute precision with seconds 00 and
// no fraction. Pass a time in UTC.
func OperatorTime(t time.Time) string { return t.Format("2006-01-02T15:04:00Z") }

// UnmarshalJSON returns an *Error if the text is not a time.
func (t *Timestamp) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return InvalidJSON("a timestamp must be a string")
	}
	parsed, ok := ParseTime(text)
	if !ok {
		return InvalidFormat(text, "timestamp")
	}
	*t = Stamp(parsed)
	return nil
}

// timeForms are the accepted layouts without zone. time.Parse accepts a fraction after the seconds although the
// layout has none.
var timeForms = []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"}

// ParseTime parses the forms that Timestamp describes. The result is in UTC.
func ParseTime(text string) (time.Time, bool) {
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
