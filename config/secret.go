package config

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a text that printing, logging and marshaling show as ***. Only Reveal returns the text. Do not use a Secret
// as a key of a map, because encoding/json writes keys in plain text.
type Secret string

const masked = "***"

// Reveal returns the secret in plain text, for comparing or sending. Never print or log the result.
func (s Secret) Reveal() string { return string(s) }

func (Secret) String() string { return masked }

// Format implements fmt.Formatter. It prints *** for every verb, including %x, %q and %#v.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// MarshalText returns *** instead of the secret, so that JSON and YAML do not contain it.
func (Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// LogValue returns *** instead of the secret, so that log/slog does not log it.
func (Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// Reveal returns the secrets in plain text, in a new slice. It returns nil if there are none.
func Reveal(secrets []Secret) []string {
	var texts []string
	for _, s := range secrets {
		texts = append(texts, s.Reveal())
	}
	return texts
}
