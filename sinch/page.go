package sinch

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"
)

// isPage reports whether an answer is a web page. Sinch's API never returns one: a proxy, a captive portal or a web
// server at the wrong address answered. A body that begins with < is a page whatever its Content-Type; a body that
// begins like JSON is not.
func isPage(answer *http.Response, body []byte) bool {
	first := firstCharacter(body)
	if first == 0 || first == '{' || first == '[' || refusesToken(answer) {
		return false
	}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	return first == '<' || kind == "text/html" || kind == "application/xhtml+xml"
}

// firstCharacter returns the first character that is not white space, or 0 if there is none. The text may be UTF-8,
// UTF-16 or UTF-32: byte order marks, and the zero bytes of ASCII characters in the last two, are skipped.
func firstCharacter(body []byte) rune {
	for len(body) > 0 {
		r, size := utf8.DecodeRune(body)
		mark := bytes.HasPrefix(body, []byte{0xff, 0xfe}) || bytes.HasPrefix(body, []byte{0xfe, 0xff})
		switch {
		case mark:
			size = 2
		case r != 0 && r != '\ufeff' && !unicode.IsSpace(r):
			return r
		}
		body = body[size:]
	}
	return 0
}

var errPage = errors.New("the answer is a web page, not from Sinch's API")

// refusesToken reports whether an answer refuses the bearer token as RFC 6750 defines. Only the API itself does so.
func refusesToken(answer *http.Response) bool {
	challenge := strings.ToLower(strings.Join(answer.Header.Values("WWW-Authenticate"), ","))
	return answer.StatusCode == http.StatusUnauthorized && strings.Contains(challenge, "bearer")
}
