package access

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Basic is a user name and a password for HTTP Basic authentication.
type Basic struct{ User, Password string }

// Check returns an error if the user name or the password cannot be used.
func (b Basic) Check() error {
	if b.Password == "" {
		return errors.New("password: is not set")
	}
	if err := CheckUser(b.User); err != nil {
		return fmt.Errorf("username: %w", err)
	}
	return nil
}

// CheckUser returns an error if a user name is empty or contains a colon.
func CheckUser(name string) error {
	switch {
	case name == "":
		return errors.New("is not set; an entry needs a username and a password")
	case strings.Contains(name, ":"):
		return errors.New("contains a colon, which HTTP Basic does not allow; choose another")
	}
	return nil
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
