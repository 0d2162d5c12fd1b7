package sinch

import "log/slog"

// Secret is a string that prints, logs and marshals as ***. Convert it to string to use its value.
type Secret string

const hidden = "***"

func (Secret) String() string { return hidden }

// GoString hides the value when a Secret is printed with %#v.
func (Secret) GoString() string { return hidden }

// LogValue hides the value when a Secret is logged with log/slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the value when a Secret is encoded as JSON or YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
