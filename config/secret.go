package config

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a text that must not be seen: however it is printed, logged or marshaled, it is ***. Only Reveal gives it away,
// and encoding/json where it is the key of a map.
type Secret string

const masked = "***"

// Reveal returns the text itself, to be compared or sent, never to be printed.
func (s Secret) Reveal() string { return string(s) }

func (Secret) String() string { return masked }

// Format prints *** for every verb, also for %x, %q and %#v.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// MarshalText gives *** to JSON and YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// LogValue gives *** to slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(masked) }
