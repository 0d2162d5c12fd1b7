package simulator

import (
	"encoding/json"
	"strings"
	"time"
)

// timestamp is a time that is written as Sinch does: UTC with milliseconds. It parses the forms that clients really
// send: up to nine fraction digits or minute precision; Z, an offset with or without a colon, or no zone (then UTC);
// or a date only.
type timestamp struct{ time.Time }

const (
	milliseconds = "2006-01-02T15:04:05.000Z"
	// operatorTime is the format of captured operator times: minute precision with seconds 00 and no fraction.
	operatorTime = "2006-01-02T15:04:00Z"
)

func stamp(t time.Time) timestamp { return timestamp{t.UTC().Truncate(time.Millisecond)} }

func (t timestamp) MarshalJSON() ([]byte, error) {
	return []byte(`"` + t.UTC().Format(milliseconds) + `"`), nil
}

// UnmarshalJSON returns Sinch's error answer if the text is not a time.
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

// timeForms are the accepted layouts without zone. time.Parse accepts a fraction after the seconds although the
// layout has none.
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
