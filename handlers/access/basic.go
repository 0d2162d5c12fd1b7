package access

import (
	"fmt"
	"io"
	"strings"
)

// Basic is a user name and a password for HTTP Basic authentication.
type Basic struct{ User, Password string }

// Check calls report for each invalid field. The first argument of report is the configuration key of the field,
// username or password. The second says what is wrong and what to do. If all fields are valid, report is not called.
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

// Faults collects errors in configured credentials; nil is an empty list. To add an error, call the function that the
// method At returns. Pass the complete list to errors.Join.
type Faults []error

// At returns a function that adds an error to the list, for use as the argument of Basic.Check. key is the
// configuration key of the credential. The error's text is "key.member: text", or "key: text" if member is empty.
func (f *Faults) At(key string) func(member, text string) {
	return func(member, text string) {
		*f = append(*f, fmt.Errorf("%s: %s", strings.TrimSuffix(key+"."+member, "."), text))
	}
}

// Format prints *** for every verb of package fmt, so that no password reaches a log.
func (Basic) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalText returns ***, so that no encoder, such as encoding/json, writes a password.
func (Basic) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Digests returns the digest of user:password in UTF-8, followed by its digest in ISO 8859-1, because a client may use
// either encoding. The second is left out if the text cannot be encoded in ISO 8859-1 or its bytes are the same.
func (b Basic) Digests() []Digest {
	pair := b.User + ":" + b.Password
	found := []Digest{DigestOf(pair)}
	if narrow, possible := latin1(pair); possible && narrow != pair {
		found = append(found, DigestOf(narrow))
	}
	return found
}

// latin1 encodes text in ISO 8859-1. If that encoding lacks a character of the text, it returns "" and false.
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
