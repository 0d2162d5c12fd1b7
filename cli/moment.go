package cli

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// moment is the value of a flag that means a point in time: written as one, or as how far it is from now.
type moment struct {
	at     *time.Time
	toward time.Duration // 1: lengths of time lead ahead; -1: back
	text   string
}

// agoFlag adds a flag for a time that lies behind: 24h or 2026-03-02T10:00:00Z.
func agoFlag(c *cobra.Command, name, usage string) *time.Time {
	m := &moment{at: new(time.Time), toward: -1}
	c.Flags().Var(m, name, usage+", as a `TIME` or how long ago: 90m, 24h, 7d")
	noFiles(c, name)
	return m.at
}

// aheadFlag adds a flag for a time to come.
func aheadFlag(c *cobra.Command, at *time.Time, name, usage string) {
	c.Flags().Var(&moment{at: at, toward: 1}, name, usage+", as a `TIME` or how long from now: 90m, 24h, 2d")
	noFiles(c, name)
}

var errMoment = errors.New("write a time, such as 2026-03-02T10:00:00Z or 2026-03-02, or a length of time, such as 90m, 24h or 7d")

// Set is of pflag.Value.
func (m *moment) Set(text string) error {
	if d, ok := parseLength(text); ok {
		*m.at = time.Now().UTC().Add(m.toward * d).Truncate(time.Millisecond)
		m.text = text
		return nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", time.DateOnly} { // without a zone it is UTC
		if t, err := time.Parse(layout, text); err == nil {
			*m.at, m.text = t.UTC(), text
			return nil
		}
	}
	return errMoment
}

func (m *moment) String() string { return m.text }

// Type is of pflag.Value.
func (*moment) Type() string { return "time" }

// parseLength reads a length of time that is not negative, in Go's units or in days.
func parseLength(text string) (time.Duration, bool) {
	if days, found := strings.CutSuffix(text, "d"); found {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d >= 0
}
