package erase

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// Number is a phone number to be erased, with the names that take its place. Each batch gets a name of its own, so that
// nobody can tell that two names belong to one number. A Number must not be used concurrently.
type Number struct {
	digits  string
	pattern *regexp.Regexp // the digits in any spelling
	names   map[store.BatchKey]string
	buffer  []byte // of mayContain
}

// New returns the Number with the digits of number. It returns an error that wraps store.ErrNumber if number does not
// have store.MinErased to 15 digits.
func New(number string) (*Number, error) {
	digits, ok := dlr.MSISDN(number)
	if !ok || len(digits) < store.MinErased {
		return nil, fmt.Errorf("erase: %w", store.ErrNumber)
	}
	separators := `[\s\p{Z}\p{Pd}\p{Ps}\p{Pe}\p{Cf}+./]*` // those that dlr.Digits drops
	return &Number{
		digits:  digits,
		pattern: regexp.MustCompile(`\+?(?:00)*` + strings.Join(strings.Split(digits, ""), separators)),
		names:   make(map[store.BatchKey]string),
	}, nil
}

// mayContain reports whether the digits follow each other in text, with any other bytes between them. Otherwise the
// pattern does not match, and mayContain finds that out many times faster.
func mayContain[T string | []byte](n *Number, text T) bool {
	n.buffer = n.buffer[:0]
	for i := range len(text) {
		if c := text[i]; '0' <= c && c <= '9' {
			n.buffer = append(n.buffer, c)
		}
	}
	return bytes.Contains(n.buffer, []byte(n.digits))
}

// Digits returns the digits of the number, the form in which stores compare numbers.
func (n *Number) Digits() string { return n.digits }

// Is reports whether the phone number in text is this number.
func (n *Number) Is(text string) bool { return dlr.Digits(text) == n.digits }

// Name returns what takes the place of the number in one batch: store.ErasedPrefix and 16 random letters. Further calls
// for the batch return the same name. Pass a key without BatchID for what belongs to no batch.
func (n *Number) Name(key store.BatchKey) string {
	name, found := n.names[key]
	if !found {
		letters := make([]byte, 16)
		rand.Read(letters) //nolint:errcheck // it never fails
		for i, b := range letters {
			letters[i] = 'a' + b%26
		}
		name = store.ErasedPrefix + string(letters)
		n.names[key] = name
	}
	return name
}

// Text returns text with the name for the batch in place of each occurrence of the number. Digits or letters next to
// the digits make a longer word, which is left alone.
func (n *Number) Text(key store.BatchKey, text string) string {
	if !mayContain(n, text) {
		return text
	}
	var replaced strings.Builder
	done := 0
	for from := 0; ; {
		at := n.pattern.FindStringIndex(text[from:])
		if at == nil {
			break
		}
		begin, end := from+at[0], from+at[1]
		if begin > 0 && isWord(text[begin-1]) || end < len(text) && isWord(text[end]) {
			from = begin + 1 // the number may begin within this longer word
			continue
		}
		replaced.WriteString(text[done:begin])
		replaced.WriteString(n.Name(key))
		from, done = end, end
	}
	if done == 0 {
		return text
	}
	return replaced.String() + text[done:]
}

func isWord(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// Body returns the body of a callback with the name for the batch in place of the number, in each string and number of
// its JSON; the rest keeps its bytes. A body that is not JSON is treated as one text. If the body does not contain the
// number, Body returns it unchanged, without a copy.
func (n *Number) Body(key store.BatchKey, body []byte) []byte {
	if (!mayContain(n, body) || !n.pattern.Match(body)) && !bytes.Contains(body, []byte(`\`)) {
		return body
	}
	replaced, err := n.json(key, body)
	if err != nil {
		replaced = body
		if text := n.Text(key, string(body)); text != string(body) {
			replaced = []byte(text)
		}
	}
	return replaced
}

// json returns body with the number replaced in each string and number of its JSON; body itself if none contains it.
func (n *Number) json(key store.BatchKey, body []byte) ([]byte, error) {
	var replaced []byte
	tokens := json.NewDecoder(bytes.NewReader(body))
	tokens.UseNumber()
	for begin, done := 0, 0; ; {
		token, err := tokens.Token()
		if errors.Is(err, io.EOF) {
			if done == 0 {
				return body, nil
			}
			return append(replaced, body[done:]...), nil
		}
		if err != nil {
			return nil, err
		}
		end := int(tokens.InputOffset())
		text, isText := token.(string)
		if number, ok := token.(json.Number); ok {
			text, isText = number.String(), true
		}
		if isText {
			if erased := n.Text(key, text); erased != text {
				encoded, err := json.Marshal(erased)
				if err != nil {
					return nil, err
				}
				begin += len(body[begin:end]) - len(bytes.TrimLeft(body[begin:end], " \t\r\n,:"))
				replaced = append(append(replaced, body[done:begin]...), encoded...)
				done = end
			}
		}
		begin = end
	}
}
