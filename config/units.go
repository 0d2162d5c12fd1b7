package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Duration is a time span that is never negative, written as 90s, 1h30m or 30d.
type Duration time.Duration

const day = 24 * time.Hour

var errNegative = errors.New("must not be negative")

func (d *Duration) parse(text string) error {
	wrong := fmt.Errorf("%q is not a duration; write a number with a unit, such as 500ms, 10s, 5m, 12h or 30d", text)
	days, rest, found := strings.Cut(text, "d")
	if !found {
		days, rest = "0", text
	}
	n, err := strconv.ParseInt(days, 10, 32)
	if err != nil {
		return wrong
	}
	var clock time.Duration
	if rest != "" || !found {
		if clock, err = time.ParseDuration(rest); err != nil {
			return wrong
		}
	}
	switch {
	case n < 0 || clock < 0:
		return errNegative
	case n > int64((math.MaxInt64-clock)/day):
		return fmt.Errorf("%q is out of range", text)
	}
	*d = Duration(time.Duration(n)*day + clock)
	return nil
}

func (d Duration) String() string {
	t := time.Duration(d)
	if t != 0 && t%day == 0 {
		return strconv.FormatInt(int64(t/day), 10) + "d"
	}
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText returns the duration as String does, such as 1h30m or 30d. Load can parse this text.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// ByteSize is a number of bytes that is never negative, written as 16MiB, 1GB or 65536.
type ByteSize int64

type unit struct {
	name  string
	bytes int64
}

func binaryUnits() []unit {
	return []unit{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
}

func units() []unit {
	return append(binaryUnits(), unit{"TB", 1e12}, unit{"GB", 1e9}, unit{"MB", 1e6}, unit{"KB", 1e3}, unit{"", 1})
}

func (b *ByteSize) parse(text string) error {
	wrong := fmt.Errorf("%q is not a size; write a whole number with or without a unit, such as 65536, 512KiB, "+
		"16MiB or 1GB",
		text)
	digits := text
	if end := strings.IndexFunc(text, unicode.IsLetter); end >= 0 {
		digits = text[:end]
	}
	name := text[len(digits):]
	n, err := strconv.ParseInt(strings.TrimSuffix(digits, " "), 10, 64)
	if err != nil {
		return wrong
	}
	if n < 0 {
		return errNegative
	}
	for _, u := range units() {
		if !strings.EqualFold(u.name, name) {
			continue
		}
		if n > math.MaxInt64/u.bytes {
			return fmt.Errorf("%q is out of range", text)
		}
		*b = ByteSize(n * u.bytes)
		return nil
	}
	return wrong
}

func (b ByteSize) String() string {
	for _, u := range binaryUnits() {
		if n := int64(b); n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return "0"
}

// MarshalText returns the size as String does, such as 16MiB. Load can parse this text.
func (b ByteSize) MarshalText() ([]byte, error) { return []byte(b.String()), nil }
