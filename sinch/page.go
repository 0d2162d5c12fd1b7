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

// isPage reports whether an answer is a web page. Sinch's API has none: a proxy, a captive portal or a web server at the
// wrong address answered. Markup counts whatever the header calls it, and JSON never does.
func isPage(answer *http.Response, body []byte) bool {
	first := firstCharacter(body)
	if first == 0 || first == '{' || first == '[' || asksForToken(answer) {
		return false
	}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	return first == '<' || kind == "text/html" || kind == "application/xhtml+xml"
}

// firstCharacter returns the first character of a text that is not white space; 0 if there is none. The text is UTF-8,
// UTF-16 or UTF-32: byte order marks, and the zero bytes that ASCII has in the last two, are skipped.
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

var errPage = errors.New("it is a web page, not an answer of Sinch's API")

// asksForToken reports whether an answer refuses the token in the way of RFC 6750, which only the API itself does.
func asksForToken(answer *http.Response) bool {
	challenge := strings.ToLower(strings.Join(answer.Header.Values("WWW-Authenticate"), ","))
	return answer.StatusCode == http.StatusUnauthorized && strings.Contains(challenge, "bearer")
}
