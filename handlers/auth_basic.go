package handlers

import (
	"fmt"
	"io"
)

// BasicCredential is a user and password of HTTP Basic.
type BasicCredential struct{ User, Password string }

// Format prints *** for every verb.
func (BasicCredential) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalText gives *** to encoders.
func (BasicCredential) MarshalText() ([]byte, error) { return []byte("***"), nil }

// digests are those of the pair as it may arrive. RFC 7617 names no encoding: Sinch's is not documented, and curl, browsers and
// proxies differ between UTF-8 and ISO 8859-1.
func (b BasicCredential) digests() []digest {
	pair := b.User + ":" + b.Password
	found := []digest{digestOf(pair)}
	if narrow, possible := latin1(pair); possible && narrow != pair {
		found = append(found, digestOf(narrow))
	}
	return found
}

// latin1 is text in ISO 8859-1, which has the first 256 characters.
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
