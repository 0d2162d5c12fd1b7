package webhook

import (
	"fmt"
	"slices"
	"strings"
)

// CheckHeaderName returns an error if a header of this name cannot carry a secret.
func CheckHeaderName(name string) error {
	switch {
	case !isToken(name):
		return fmt.Errorf("%q is not a valid header name; use letters, digits and -", name)
	case slices.Contains(reservedHeaders(), strings.ToLower(name)):
		return fmt.Errorf("%q is reserved by HTTP and cannot carry a secret; choose another header", name)
	}
	return nil
}

// reservedHeaders lists the headers, in lower case, that net/http or a proxy removes before a handler sees the
// request.
func reservedHeaders() []string {
	return []string{
		"host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te", "trailer",
		"upgrade", "expect",
	}
}

// isToken reports whether text is a token of RFC 9110, the syntax of header names.
func isToken(text string) bool {
	const special = "!#$%&'*+-.^_`|~"
	return !strings.ContainsFunc(text, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune(special, r)
	})
}
