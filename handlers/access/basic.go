package access

import (
	"fmt"
	"io"
	"strings"
)

// Basic is a user name and a password for HTTP Basic authentication.
type Basic struct{ User, Password string }

// Check calls report for each invalid field. Its arguments are the configuration key of the field, username or
// password, and a text that says what is wrong and what to do.
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

// Faults is a list of errors in configured credentials. At adds errors; errors.Join makes one error of them.
type Faults []error

// At returns a function that adds an error to the list; pass it to Basic.Check and similar methods. The error is
// "key.member: text", or "key: text" if member is empty.
func (f *Faults) At(key string) func(member, text string) {
	return func(member, text string) {
		*f = append(*f, fmt.Errorf("%s: %s", strings.TrimSuffix(key+"."+member, "."), text))
	}
}

// Format prints *** for every verb, so no password reaches a log.
func (Basic) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalText returns ***, so that no encoder, such as encoding/json, writes a password.
func (Basic) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Digests returns the digest of user:password in UTF-8. A second digest is for ISO 8859-1, if that encoding is possible
// and different. Clients may use either encoding.
func (b Basic) Digests() []Digest {
	pair := b.User + ":" + b.Password
	found := []Digest{DigestOf(pair)}
	if narrow, possible := latin1(pair); possible && narrow != pair {
		found = append(found, DigestOf(narrow))
	}
	return found
}

// latin1 encodes text in ISO 8859-1. The result possible is false if that encoding lacks a character of the text.
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
