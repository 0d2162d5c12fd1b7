package xms

import (
	"encoding/json"
	"strings"
	"time"
)

// Timestamp is a time that is written in JSON as Sinch writes times, in UTC with milliseconds. It is read from any form
// that ParseTime accepts.
type Timestamp struct{ time.Time }

// Stamp returns t as a Timestamp in UTC, truncated to the millisecond.
func Stamp(t time.Time) Timestamp { return Timestamp{t.UTC().Truncate(time.Millisecond)} }

// String returns the time as Sinch writes times, for example 2026-01-31T09:30:00.000Z.
func (t Timestamp) String() string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// MarshalJSON returns the result of String as a JSON string.
func (t Timestamp) MarshalJSON() ([]byte, error) { return []byte(`"` + t.String() + `"`), nil }

// OperatorTime returns t as Sinch writes operator_status_at in reports: to the minute, with seconds 00. t must be in
// UTC.
func OperatorTime(t time.Time) string { return t.Format("2006-01-02T15:04:00Z") }

// UnmarshalJSON reads a time in any form that ParseTime accepts, and truncates it to the millisecond. It returns an
// *Error for anything else.
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

// timeForms are the layouts that ParseTime accepts, without the time zone and the fraction of a second.
var timeForms = []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"}

// ParseTime parses a date, or a date and a time with or without seconds and fraction, and returns it in UTC. The zone
// is Z, an offset with or without a colon, or missing, which means UTC. It returns false for any other text.
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
