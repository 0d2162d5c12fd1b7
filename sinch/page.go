package sinch

import (
	"bytes"
	"errors"
	"mime"
	"net/http"
	"strings"
)

// isPage reports whether an answer is a web page. Sinch's API has none: a proxy, a captive portal or a web server at the
// wrong address answered. Markup counts whatever the header calls it, and JSON never does.
func isPage(answer *http.Response, body []byte) bool {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	if len(body) == 0 || body[0] == '{' || body[0] == '[' || asksForToken(answer) {
		return false
	}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	return body[0] == '<' || kind == "text/html" || kind == "application/xhtml+xml"
}

var errPage = errors.New("it is a web page, not an answer of Sinch's API")

// asksForToken reports whether an answer refuses the token in the way of RFC 6750, which only the API itself does.
func asksForToken(answer *http.Response) bool {
	challenge := strings.ToLower(strings.Join(answer.Header.Values("WWW-Authenticate"), ","))
	return answer.StatusCode == http.StatusUnauthorized && strings.Contains(challenge, "bearer")
}
