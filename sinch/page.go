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

// isPage reports whether an answer is a web page, by the beginning of its body and by its Content-Type. Sinch's API
// never sends pages, so another server, such as a proxy, has answered.
func isPage(answer *http.Response, body []byte) bool {
	first := firstCharacter(body)
	if first == 0 || first == '{' || first == '[' || refusesToken(answer) {
		return false
	}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	return first == '<' || kind == "text/html" || kind == "application/xhtml+xml"
}

// firstCharacter returns the first character of body that is not white space, or 0 if there is none. It also finds an
// ASCII character in UTF-16 and UTF-32.
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

// refusesToken reports whether an answer of Sinch's API refuses the bearer token: a 401 that asks for one (RFC 6750).
func refusesToken(answer *http.Response) bool {
	challenge := strings.ToLower(strings.Join(answer.Header.Values("WWW-Authenticate"), ","))
	return answer.StatusCode == http.StatusUnauthorized && strings.Contains(challenge, "bearer")
}
