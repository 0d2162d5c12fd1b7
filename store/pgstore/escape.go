package pgstore

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// escapePrefix marks an escaped text. A text that happens to start with escapePrefix is escaped as well.
const escapePrefix = "\x1a"

// escape returns s in a form that a PostgreSQL text column accepts: s itself, or escapePrefix and the hex digits of s
// if s contains NUL, is not valid UTF-8 or starts with escapePrefix. Different texts have different results.
func escape(s string) string {
	if utf8.ValidString(s) && !strings.Contains(s, "\x00") && !strings.HasPrefix(s, escapePrefix) {
		return s
	}
	return escapePrefix + hex.EncodeToString([]byte(s))
}

// unescape returns the text for which escape returned kept. It returns a kept that is not escaped, or not valid,
// unchanged.
func unescape(kept string) string {
	rest, found := strings.CutPrefix(kept, escapePrefix)
	if !found {
		return kept
	}
	s, err := hex.DecodeString(rest)
	if err != nil {
		return kept
	}
	return string(s)
}
