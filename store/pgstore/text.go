package pgstore

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// escaped begins a text that PostgreSQL could not keep as it is; what begins with it by itself is escaped, too.
const escaped = "\x1a"

// text is how an opaque text is kept: as it is, unless it holds NUL or is no UTF-8. Different texts stay different.
func text(s string) string {
	if utf8.ValidString(s) && !strings.Contains(s, "\x00") && !strings.HasPrefix(s, escaped) {
		return s
	}
	return escaped + hex.EncodeToString([]byte(s))
}

// plain is the text that was kept.
func plain(kept string) string {
	rest, found := strings.CutPrefix(kept, escaped)
	if !found {
		return kept
	}
	s, err := hex.DecodeString(rest)
	if err != nil {
		return kept
	}
	return string(s)
}
