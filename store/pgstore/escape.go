package pgstore

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// escapePrefix marks a text that escape has encoded. A text that happens to start with escapePrefix is encoded, too.
const escapePrefix = "\x1a"

// escape returns s in a form that a PostgreSQL text column accepts. This is s itself, or escapePrefix and the bytes of
// s in hex if s contains NUL, is not valid UTF-8 or starts with escapePrefix. Different texts have different results.
func escape(s string) string {
	if utf8.ValidString(s) && !strings.Contains(s, "\x00") && !strings.HasPrefix(s, escapePrefix) {
		return s
	}
	return escapePrefix + hex.EncodeToString([]byte(s))
}

// unescape is the inverse of escape. It returns stored unchanged if stored is not a result of escape.
func unescape(stored string) string {
	rest, found := strings.CutPrefix(stored, escapePrefix)
	if !found {
		return stored
	}
	s, err := hex.DecodeString(rest)
	if err != nil {
		return stored
	}
	return string(s)
}
