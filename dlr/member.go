package dlr

import (
	"bytes"
	"encoding/json"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The types in this file read whatever JSON value stands in a member, and never fail: an odd member must not cost a
// report. A null reads as if the member were missing.

// text is a JSON string, or the text of a JSON number; any other value reads as empty. It is valid UTF-8 without NUL,
// which PostgreSQL could not keep.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	switch c := b[0]; {
	case c == '"':
		*t = text(unquote(b))
	case c == '-' || c >= '0' && c <= '9':
		*t = text(whole(string(b)))
	}
	return nil
}

func unquote(b []byte) string {
	if plain, ok := plainText(b); ok {
		return string(plain)
	}
	var s string
	_ = json.Unmarshal(b, &s) // b was found to be a JSON string before
	return strings.ReplaceAll(s, "\x00", "\ufffd")
}

// cut returns t, or its first characters where it is too long.
func (t text) cut() string {
	if len(t) <= maxText || utf8.RuneCountInString(string(t)) <= maxText {
		return string(t)
	}
	return string([]rune(t)[:maxText])
}

// plainText returns the inside of a JSON string; false for any other value and for a string that does not stand for itself.
func plainText(b []byte) (inside []byte, ok bool) {
	if len(b) < 2 || b[0] != '"' {
		return nil, false
	}
	inside = b[1 : len(b)-1]
	return inside, isPlain(inside)
}

// isPlain reports whether the inside of a JSON string stands for itself: printable ASCII without escapes.
func isPlain(b []byte) bool {
	for _, c := range b {
		if c < 0x20 || c >= 0x7f || c == '\\' {
			return false
		}
	}
	return true
}

// whole writes 3.0 and 1.2e10 as integers, for a sender that has only floating point. Beyond 2^53 they stand for no one
// number. Anything else is returned as it is.
func whole(s string) string {
	if !strings.ContainsAny(s, ".eE") || strings.Trim(s, "+-.0123456789eE") != "" {
		return s
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
		return s
	}
	return strconv.FormatInt(int64(f), 10)
}

// elements yields the elements of a JSON list, which must be known to be one, each without the space around it, and where
// each begins in the list.
func elements(list []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		rest := bytes.TrimSpace(list[1 : len(list)-1])
		for len(rest) > 0 {
			end := elementEnd(rest)
			element := bytes.TrimLeft(rest[:end], jsonSpace)
			start := cap(list) - cap(element) // both end where the list's memory does
			if !yield(start, bytes.TrimRight(element, jsonSpace)) {
				return
			}
			rest = rest[min(end+1, len(rest)):]
		}
	}
}

// jsonSpace is what JSON allows between values.
const jsonSpace = " \t\r\n"

// elementEnd is where the first element ends: at the comma after it, or where the list ends.
func elementEnd(list []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		case c == ',' && depth == 0:
			return i
		}
	}
	return len(list)
}

// integer is a JSON integer of 32 bits or a string that holds one; anything else reads as not set. No code and no count
// is larger, and no store need fear one.
type integer struct {
	value int
	set   bool
}

func (i *integer) UnmarshalJSON(b []byte) error {
	if v, err := strconv.ParseInt(string(b), 10, 32); err == nil {
		*i = integer{value: int(v), set: true}
		return nil
	}
	var s text
	_ = s.UnmarshalJSON(b)
	if v, err := strconv.ParseInt(whole(strings.TrimSpace(string(s))), 10, 32); err == nil {
		*i = integer{value: int(v), set: true}
	}
	return nil
}

func (i integer) or(fallback int) int {
	if i.set {
		return i.value
	}
	return fallback
}

// moment is a timestamp as ParseTime reads it; anything else reads as zero.
type moment time.Time

func (m *moment) UnmarshalJSON(b []byte) error {
	var s text
	_ = s.UnmarshalJSON(b)
	t, _ := ParseTime(string(s))
	*m = moment(t)
	return nil
}
