package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dlrloop/dlrloop/sinch"
)

const byteOrderMark = "\ufeff"

var (
	errUTF16   = errors.New("is UTF-16; save it as UTF-8")
	errControl = errors.New("contains a line break or a control character; a secret is a single line of text")
	errSpace   = errors.New("begins or ends with a space; remove it")
)

// isUTF16 reports whether content begins with the byte order mark of UTF-16, in which some Windows editors save text.
func isUTF16(content []byte) bool {
	return len(content) >= 2 && (content[0] == 0xff && content[1] == 0xfe || content[0] == 0xfe && content[1] == 0xff)
}

// ParseSecret returns the secret in content, without a leading byte order mark and trailing line breaks, which editors
// and shells add. It returns an error for UTF-16, control characters, invisible characters and spaces at the ends. No
// error contains a part of the secret.
func ParseSecret(content []byte) (Secret, error) {
	if isUTF16(content) {
		return "", errUTF16
	}
	s := strings.TrimRight(strings.TrimPrefix(string(content), byteOrderMark), "\r\n")
	if strings.ContainsFunc(s, unicode.IsControl) {
		return "", errControl
	}
	if err := checkVisible(s); err != nil {
		return "", err
	}
	if strings.TrimSpace(s) != s {
		return "", errSpace
	}
	return Secret(s), nil
}

// checkVisible returns an error if s is not valid UTF-8 or has an invisible character. A character that looks like a
// space also counts as invisible, unless it is the ordinary space. The error names the position, but does not quote s.
func checkVisible(s string) error {
	position := 0
	for i, r := range s {
		position++
		_, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return fmt.Errorf("character %d is not UTF-8; save the text as UTF-8", position)
		case r == utf8.RuneError:
			return fmt.Errorf("character %d is U+FFFD, which replaces an undecodable character; write the text again", position)
		case !isVisible(r):
			return fmt.Errorf("character %d is %s, which is invisible; remove it", position, characterName(r))
		}
	}
	return nil
}

// isVisible reports whether a person can see a character. It is true for an ordinary space, but false for other
// characters that look like a space.
func isVisible(r rune) bool {
	const brailleBlank = '\u2800'
	return r == ' ' || r != brailleBlank && !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Z,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Noncharacter_Code_Point)
}

func characterName(r rune) string {
	names := map[rune]string{
		'\ufeff': "byte order mark", '\u00a0': "no-break space", '\u202f': "narrow no-break space",
		'\u200b': "zero width space", '\u200c': "zero width non-joiner", '\u200d': "zero width joiner",
		'\u00ad': "soft hyphen",
	}
	if name, known := names[r]; known {
		return fmt.Sprintf("U+%04X (%s)", r, name)
	}
	return fmt.Sprintf("U+%04X", r)
}

// checkTexts records a problem for every text of the configuration that has invisible characters, and for every
// placeholder that is not a secret. (For secrets, readSecrets looks for placeholders.) From secrets checkTexts removes
// a byte order mark at the start and line breaks at the end. Call it before the other checks, which expect secrets
// without them.
func (l *loader) checkTexts() {
	eachValue("", reflect.ValueOf(l.config).Elem(), func(key string, f reflect.StructField, v reflect.Value) {
		switch {
		case v.Kind() == reflect.String:
			l.checkText(key, v)
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				l.checkText(element(key, i), v.Index(i))
			}
		}
	})
}

func (l *loader) checkText(key string, v reflect.Value) {
	written := v.String()
	if v.Type() != reflect.TypeFor[Secret]() {
		err := checkVisible(written)
		if err == nil && isPlaceholder(written) {
			err = fmt.Errorf("%q is a placeholder; write your own value", written)
		}
		if err != nil {
			l.problem(key, "%s", err)
			l.markInvalid(key)
		}
		return
	}
	s, err := ParseSecret([]byte(written))
	if err != nil {
		l.problem(key, "%s", err)
		l.markInvalid(key)
		return
	}
	if strings.HasPrefix(written, byteOrderMark) {
		l.warn(key, "begins with %s, which is ignored", characterName('\ufeff'))
	}
	v.SetString(string(s))
}

// isPlaceholder reports whether text is copied from an example and must be replaced, such as YOUR_SERVICE_PLAN_ID.
func isPlaceholder(text string) bool {
	return strings.HasPrefix(text, "YOUR_") || strings.HasPrefix(text, "<") && strings.HasSuffix(text, ">") ||
		text == "PROJECT_ID" || text == "KEY_ID"
}

var errPlaceholder = errors.New("is a placeholder; write your own secret")

// checkSecret records a problem with the key if a secret is a placeholder. It warns if the secret is in quotation
// marks.
func (l *loader) checkSecret(key string, s Secret) {
	text := s.Reveal()
	if isPlaceholder(text) {
		l.problem(key, "%s", errPlaceholder)
	}
	if n := len(text); n > 1 && text[0] == text[n-1] && strings.ContainsRune("\"'`", rune(text[0])) {
		l.warn(key, "is in quotation marks, which count as part of the secret; remove them unless it was issued with them")
	}
}

// checkToken records a problem with the key if a token is a placeholder or cannot be sent as a bearer token.
func (l *loader) checkToken(key string, s Secret) {
	err := sinch.CheckToken(sinch.Secret(s.Reveal()))
	if isPlaceholder(s.Reveal()) {
		err = errPlaceholder
	}
	if err != nil {
		l.problem(key, "%s", err)
	}
}
