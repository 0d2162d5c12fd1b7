package sinch

import (
	"encoding/json"
	"strings"
	"unicode"

	"github.com/dlrloop/dlrloop/dlr"
)

// clean makes foreign text fit for logs and pages: valid UTF-8 on one line, without secrets and whole numbers, and of no
// more than limit characters.
func clean(s string, limit int, secrets []string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	for _, secret := range secrets {
		s = strings.ReplaceAll(s, secret, hidden)
	}
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	s = maskNumbers(s)
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return s
}

// minNumber is the fewest digits that count as a number to mask.
const minNumber = 7

// maskNumbers masks every run of digits that could be a phone number, written with or without separators.
func maskNumbers(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		end, digits := numberAt(s, i)
		switch {
		case digits >= minNumber:
			b.WriteString(dlr.Number(s[i:end]).Masked())
		case digits > 0:
			b.WriteString(s[i:end])
		default:
			end = i + 1
			b.WriteByte(s[i])
		}
		i = end
	}
	return b.String()
}

// numberAt returns where the number that begins at i ends, and its digits; there may be one or two separators between two
// of them.
func numberAt(s string, i int) (end, digits int) {
	gap := 0
	for end = i; i < len(s) && gap <= 2; i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
			gap, end = 0, i+1
		case digits > 0 && strings.IndexByte(" -./()", c) >= 0:
			gap++
		default:
			return end, digits
		}
	}
	return end, digits
}

// onlyText is a JSON string; every other value reads as empty.
type onlyText string

func (t *onlyText) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	return nil
}
