package webhook

import (
	"fmt"
	"slices"
	"strings"
)

// checkName calls report if the header has values but no name, if its name is invalid, or if HTTP reserves the name,
// such as Host. It passes the configuration key header.name and a text that says what to do.
func (h Header) checkName(report func(member, text string)) {
	switch {
	case h.Name == "" && h.Values != nil:
		report("header.name", "is not set; name the header that Sinch is configured to send")
	case !isToken(h.Name):
		report("header.name", fmt.Sprintf("%q is not a valid header name; use letters, digits and -", h.Name))
	case slices.Contains(reservedHeaders(), strings.ToLower(h.Name)):
		report("header.name", fmt.Sprintf("%q is reserved by HTTP and cannot carry a secret; choose another header", h.Name))
	}
}

// reservedHeaders returns, in lower case, the headers that net/http or a proxy removes before a handler sees them. They
// cannot carry a secret.
func reservedHeaders() []string {
	return []string{
		"host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te", "trailer",
		"upgrade", "expect",
	}
}

// isToken reports whether text has only characters that RFC 9110 allows in the name of a header. It returns true for
// "".
func isToken(text string) bool {
	const special = "!#$%&'*+-.^_`|~"
	return !strings.ContainsFunc(text, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune(special, r)
	})
}
