package config

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a text that printing, logging and marshaling show as ***. Only Reveal returns it. Do not use it as a key of
// a map, because encoding/json writes keys in plain text.
type Secret string

const masked = "***"

// Reveal returns the secret, for comparing or sending. Never print the result.
func (s Secret) Reveal() string { return string(s) }

func (Secret) String() string { return masked }

// Format prints *** for every verb, including %x, %q and %#v.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// MarshalText returns *** for JSON and YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// LogValue returns *** for slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// Reveal returns secrets in plain text, in a new slice. It returns nil if secrets is empty.
func Reveal(secrets []Secret) []string {
	var texts []string
	for _, s := range secrets {
		texts = append(texts, s.Reveal())
	}
	return texts
}
