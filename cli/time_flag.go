package cli

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// timeFlag is the value of a flag for a time; it implements pflag.Value. The user gives a time, or a duration before or
// after now.
type timeFlag struct {
	at   *time.Time
	sign time.Duration // 1: a duration is added to now; -1: it is subtracted
	text string
}

// pastFlag adds a flag for a time in the past, which may also be given as a duration before now. Parsing the flag sets
// the returned time, in UTC. Without the flag the time stays zero.
func pastFlag(c *cobra.Command, name, usage string) *time.Time {
	m := &timeFlag{at: new(time.Time), sign: -1}
	c.Flags().Var(m, name, usage+": a `TIME`, or a duration before now such as 90m, 24h or 7d")
	noFiles(c, name)
	return m.at
}

// futureFlag adds a flag for a time in the future, which may also be given as a duration from now. Parsing the flag
// sets *at, in UTC. Without the flag *at is unchanged.
func futureFlag(c *cobra.Command, at *time.Time, name, usage string) {
	c.Flags().Var(&timeFlag{at: at, sign: 1}, name, usage+": a `TIME`, or a duration from now such as 90m, 24h or 2d")
	noFiles(c, name)
}

var errTime = errors.New("write a time such as 2026-03-02T10:00:00Z or 2026-03-02, or a duration such as 90m, " +
	"24h or 7d")

// Set parses a time, which is in UTC if it has no zone, or a duration before or after now. It implements pflag.Value.
func (m *timeFlag) Set(text string) error {
	if d, ok := parseDuration(text); ok {
		*m.at = time.Now().UTC().Add(m.sign * d).Truncate(time.Millisecond)
		m.text = text
		return nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			*m.at, m.text = t.UTC(), text
			return nil
		}
	}
	return errTime
}

func (m *timeFlag) String() string { return m.text }

func (*timeFlag) Type() string { return "time" }

// parseDuration parses a duration such as 90m or 7d. It returns false for a negative duration or other text.
func parseDuration(text string) (time.Duration, bool) {
	if days, found := strings.CutSuffix(text, "d"); found {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d >= 0
}
