package xms

import (
	"log/slog"
	"strings"
)

// Digits normalises a phone number as Sinch does: it drops spaces, dashes, brackets and a leading + or 00. The result
// is false unless 3 to 15 digits remain. Numbers are compared by their digits.
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

// LogValue returns the number with a star in place of each character but the last two.
func (m Masked) LogValue() slog.Value {
	tail := max(0, len(m)-2)
	return slog.StringValue(strings.Repeat("*", tail) + string(m[tail:]))
}
