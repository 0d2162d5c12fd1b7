package xms

import (
	"log/slog"
	"strings"
)

// Digits returns a phone number as digits only, the form in which numbers are compared. It drops spaces, dashes,
// brackets and a leading + or 00. It returns false if the rest is not 3 to 15 digits.
func Digits(number string) (string, bool) {
	bare := number
	if strings.ContainsAny(bare, " -()[]") {
		bare = strings.Map(func(r rune) rune {
			if strings.ContainsRune(" -()[]", r) {
				return -1
			}
			return r
		}, bare)
	}
	if rest, ok := strings.CutPrefix(bare, "+"); ok {
		bare = rest
	} else {
		bare = strings.TrimPrefix(bare, "00")
	}
	if len(bare) < 3 || len(bare) > 15 || strings.Trim(bare, "0123456789") != "" {
		return "", false
	}
	return bare, true
}

// Masked is a phone number of which logs show only the last two digits.
type Masked string

// LogValue returns the number with stars in place of all but its last two characters.
func (m Masked) LogValue() slog.Value {
	tail := max(0, len(m)-2)
	return slog.StringValue(strings.Repeat("*", tail) + string(m[tail:]))
}
