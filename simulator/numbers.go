package simulator

import (
	"log/slog"
	"strings"
)

// digits reads a phone number as Sinch does: spaces, dashes, brackets and a leading + or 00 are dropped, and 3 to 15 digits
// must remain. Numbers are compared on what it returns.
func digits(number string) (string, bool) {
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

// masked is a phone number that logs only its last two digits.
type masked string

func (m masked) LogValue() slog.Value {
	tail := max(0, len(m)-2)
	return slog.StringValue(strings.Repeat("*", tail) + string(m[tail:]))
}
