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

// The functions in this file decode JSON that is known to be valid, and never fail: an invalid member must not make a
// report unreadable. A null counts as absent, and so does nil, which stands for an absent member. The other packages
// decode with them too, so that the same JSON means the same everywhere.

// Text decodes value, a JSON string or a JSON number, as text. A number keeps its spelling, except that 3.0 becomes 3.
// NUL, which PostgreSQL cannot store, becomes U+FFFD. For any other JSON, and for nil, ok is false.
func Text(value []byte) (s string, ok bool) {
	if len(value) == 0 {
		return "", false
	}
	switch c := value[0]; {
	case c == '"':
		return unquote(value), true
	case c == '-' || c >= '0' && c <= '9':
		return wholeNumber(string(value)), true
	}
	return "", false
}

// Integer decodes value, a whole JSON number such as 3, 3.0 or 3e2, or a JSON string that contains one. For any other
// value, and for a number that does not fit an int32, ok is false. All documented codes and counts fit.
func Integer(value []byte) (n int, ok bool) {
	if len(value) == 0 {
		return 0, false // without the allocations of two errors
	}
	v, err := strconv.ParseInt(string(value), 10, 32)
	if err != nil {
		s, _ := Text(value)
		v, err = strconv.ParseInt(wholeNumber(strings.TrimSpace(s)), 10, 32)
	}
	return int(v), err == nil
}

// text is a JSON string or number that the function Text has decoded. It is empty if the JSON member was neither, or
// absent.
type text string

func readText(value []byte) text {
	s, _ := Text(value)
	return text(s)
}

func unquote(b []byte) string {
	if plain, ok := plainText(b); ok {
		return string(plain)
	}
	var s string
	_ = json.Unmarshal(b, &s) // b is known to be a valid JSON string
	return strings.ReplaceAll(s, "\x00", "\ufffd")
}

func (t text) cut() string { return Truncate(string(t), maxText) }

// Truncate returns the first limit characters (runes) of s, or s itself if it is not longer.
func Truncate(s string, limit int) string {
	if len(s) <= limit || utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit])
}

// plainText returns what is between the quotation marks of the JSON string b, without copying. ok is false if b is not
// a string, or contains escapes or characters outside printable ASCII; the caller must then decode b.
func plainText(b []byte) (inside []byte, ok bool) {
	if len(b) < 2 || b[0] != '"' {
		return nil, false
	}
	inside = b[1 : len(b)-1]
	return inside, isPlain(inside)
}

func isPlain(b []byte) bool {
	for _, c := range b {
		if c < 0x20 || c >= 0x7f || c == '\\' {
			return false
		}
	}
	return true
}

// wholeNumber rewrites a whole number that is written like 3.0 or 1.2e10 as an integer. Any other text is returned
// unchanged, and so is a number of 2^53 or more, because a float64 cannot represent every such number.
func wholeNumber(s string) string {
	if !strings.ContainsAny(s, ".eE") || strings.Trim(s, "+-.0123456789eE") != "" {
		return s
	}
	f, err := strconv.ParseFloat(s, 64) // some senders know only floating point
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
		return s
	}
	return strconv.FormatInt(int64(f), 10)
}

// Members iterates over the members of object in order, and yields the name and the value of each. object must be a
// valid JSON object without white space around it. The name is unquoted and valid until the next iteration. The value
// is a subslice of object that begins at the index cap(object)-cap(value).
func Members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for _, element := range elements(object) {
			end := stringEnd(element)
			name, plain := plainText(element[:end])
			if !plain {
				name = []byte(unquote(element[:end]))
			}
			value := bytes.TrimLeft(bytes.TrimLeft(element[end:], jsonSpace)[len(":"):], jsonSpace)
			if !yield(name, value) {
				return
			}
		}
	}
}

// stringEnd returns the index after the closing quotation mark of the JSON string at the start of b. The string must be
// valid, otherwise stringEnd may panic.
func stringEnd(b []byte) int {
	for i := 1; ; i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// elements iterates over the elements of list, which is a JSON list or object. An element of an object is a member: the
// name, a colon and the value. elements yields the index in list at which the element begins, and the element without
// white space around it, as a subslice of list. list must be valid JSON.
func elements(list []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		rest := bytes.TrimSpace(list[1 : len(list)-1])
		for len(rest) > 0 {
			end := elementEnd(rest)
			element := bytes.TrimLeft(rest[:end], jsonSpace)
			start := cap(list) - cap(element) // both slices end at the end of the list's memory
			if !yield(start, bytes.TrimRight(element, jsonSpace)) {
				return
			}
			rest = rest[min(end+1, len(rest)):]
		}
	}
}

// jsonSpace holds the characters that JSON allows as white space between values.
const jsonSpace = " \t\r\n"

// elementEnd returns the length of the first element of a JSON list or object. The argument list is the text between
// the brackets. The element ends at the first comma outside of nested values and strings, or at the end of list.
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

func readInteger(value []byte, fallback int) int {
	if n, ok := Integer(value); ok {
		return n
	}
	return fallback
}

// readTime decodes a JSON string as a timestamp, in UTC. It returns the zero time if the value is missing or not a
// timestamp.
func readTime(value []byte) time.Time {
	t, _ := ParseTime(string(readText(value)))
	return t
}
