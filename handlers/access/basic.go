package access

import (
	"fmt"
	"io"
	"strings"
)

// Basic is a user name and a password for HTTP Basic authentication.
type Basic struct{ User, Password string }

// Check calls report for each invalid field of b. The argument member is the configuration key of the field, username
// or password; text says what is wrong and what to do.
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

// Faults collects the errors in credentials that the methods named Check find. Join them with errors.Join.
type Faults []error

// At returns a function for the argument report of methods such as Basic.Check. Each call of the function appends an
// error to f. The error begins with the full configuration key: key.member, or key alone if member is empty.
func (f *Faults) At(key string) func(member, text string) {
	return func(member, text string) {
		*f = append(*f, fmt.Errorf("%s: %s", strings.TrimSuffix(key+"."+member, "."), text))
	}
}

// Format prints *** for every verb, so no password reaches a log.
func (Basic) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalText returns ***, so that no encoder, such as encoding/json, writes a password.
func (Basic) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Digests returns the digest of user:password encoded in UTF-8 and, if that differs, encoded in ISO 8859-1. RFC 7617
// lets the client choose the encoding, and Sinch does not document its choice.
func (b Basic) Digests() []Digest {
	pair := b.User + ":" + b.Password
	found := []Digest{DigestOf(pair)}
	if narrow, possible := latin1(pair); possible && narrow != pair {
		found = append(found, DigestOf(narrow))
	}
	return found
}

// latin1 encodes text in ISO 8859-1. If text contains a character that ISO 8859-1 lacks, possible is false.
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
