package access

import (
	"fmt"
	"io"
	"strings"
)

// Basic is a user name and a password for HTTP Basic authentication.
type Basic struct{ User, Password string }

// Check calls report for each part that cannot be used, username or password, and says why.
func (b Basic) Check(report func(member, text string)) {
	switch {
	case b.User == "":
		report("username", "is not set; an entry needs a username and a password")
	case strings.Contains(b.User, ":"):
		report("username", "contains a colon, which HTTP Basic does not allow; choose another")
	}
	if b.Password == "" {
		report("password", "no password is set; set password or password_file")
	}
}

// Faults collects what a Check reports about the configuration below a key.
type Faults []error

// At returns the function to pass to a Check of the member at key.
func (f *Faults) At(key string) func(member, text string) {
	return func(member, text string) {
		*f = append(*f, fmt.Errorf("%s: %s", strings.TrimSuffix(key+"."+member, "."), text))
	}
}

// Format prints *** for every verb, so no password reaches a log.
func (Basic) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalText returns ***, so no password reaches an encoded text.
func (Basic) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Digests returns the digests of user:password in UTF-8 and, if that differs, in ISO 8859-1. RFC 7617 leaves the
// encoding open: Sinch does not document its own, and curl, browsers and proxies differ.
func (b Basic) Digests() []Digest {
	pair := b.User + ":" + b.Password
	found := []Digest{DigestOf(pair)}
	if narrow, possible := latin1(pair); possible && narrow != pair {
		found = append(found, DigestOf(narrow))
	}
	return found
}

// latin1 encodes text in ISO 8859-1. It reports false if the encoding lacks a character of text.
func latin1(text string) (narrow string, possible bool) {
	var bytes []byte
	for _, r := range text {
		if r > 0xff {
			return "", false
		}
		bytes = append(bytes, byte(r))
	}
	return string(bytes), true
}
