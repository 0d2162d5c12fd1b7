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

// The functions in this file read JSON that is known to be valid, and never fail: an odd member must not cost a report. A
// null, and nil for a member that is missing, read as not set.

// text is a JSON string, or the text of a JSON number; any other value reads as empty. It is valid UTF-8 without NUL,
// which PostgreSQL could not keep.
type text string

func readText(value []byte) text {
	if len(value) == 0 {
		return ""
	}
	switch c := value[0]; {
	case c == '"':
		return text(unquote(value))
	case c == '-' || c >= '0' && c <= '9':
		return text(whole(string(value)))
	}
	return ""
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

// membersOf visits the members of a JSON object in their order: each name without its quotes and escapes, valid until the
// next one is visited, and its value.
func membersOf(object []byte) iter.Seq2[[]byte, []byte] {
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

// stringEnd returns where the JSON string ends that b begins with.
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

// elements yields what stands between the commas of a JSON list or object, each without the space around it, and where
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

func readInteger(value []byte) integer {
	if len(value) == 0 {
		return integer{}
	}
	v, err := strconv.ParseInt(string(value), 10, 32)
	if err != nil {
		v, err = strconv.ParseInt(whole(strings.TrimSpace(string(readText(value)))), 10, 32)
	}
	return integer{value: int(v), set: err == nil}
}

func (i integer) or(fallback int) int {
	if i.set {
		return i.value
	}
	return fallback
}

// readMoment reads a timestamp as ParseTime does; anything else reads as zero.
func readMoment(value []byte) time.Time {
	t, _ := ParseTime(string(readText(value)))
	return t
}
