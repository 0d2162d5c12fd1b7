package sinch

import (
	"encoding/json"
	"strings"
	"unicode"

	"github.com/dlrloop/dlrloop/dlr"
)

// Clean makes a text from an HTTP answer safe for logs and web pages. It returns one line of valid UTF-8, at most limit
// characters, in which the given secrets and all phone numbers are masked.
func Clean(s string, limit int, secrets []string) string {
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

// minNumber is how many digits a run of digits must have, at least, for maskNumbers to treat it as a phone number.
const minNumber = 7

// maskNumbers masks possible phone numbers: runs of at least minNumber digits, with or without separators.
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

// numberAt returns the end and the length of the run of digits that begins at index i. digits is 0 if s[i] is not a
// digit. One or two separators, such as spaces or dashes, may be between two digits.
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

// stringOrEmpty decodes a JSON string. Every other JSON value decodes as "".
type stringOrEmpty string

func (t *stringOrEmpty) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	return nil
}
