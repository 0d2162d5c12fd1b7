package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// table is rows under a heading, aligned in columns. Nothing shows before print.
type table struct {
	out  io.Writer
	rows [][]string
}

func newTable(out io.Writer, heading ...string) *table {
	return &table{out: out, rows: [][]string{heading}}
}

func (t *table) row(cells ...string) {
	shown := make([]string, len(cells))
	for i, c := range cells {
		if shown[i] = printable(c); c == "" {
			shown[i] = "-"
		}
	}
	t.rows = append(t.rows, shown)
}

// empty reports whether there is nothing but the heading.
func (t *table) empty() bool { return len(t.rows) == 1 }

// print writes the rows; none shows none, in words.
func (t *table) print(none string) error {
	if t.empty() {
		_, err := fmt.Fprintln(t.out, none)
		return err
	}
	return writeAligned(t.out, t.rows)
}

// details are named values, one a line. Those without a value are left out.
type details [][]string

func (d *details) add(name, value string) {
	if value != "" {
		*d = append(*d, []string{name, printable(value)})
	}
}

func (d *details) print(out io.Writer) error { return writeAligned(out, *d) }

func writeAligned(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, cells := range rows {
		fmt.Fprintln(w, strings.Join(cells, "\t")) // Flush tells of what fails
	}
	return w.Flush()
}

// printable is a foreign text on one line, so that it can neither break a table nor speak to the terminal.
func printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

// clock writes a time in UTC, as it can be given to a flag again; nothing for none.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// yes writes a truth, and nothing for its contrary.
func yes(is bool) string {
	if is {
		return "yes"
	}
	return ""
}

// shortened is the beginning of a long text.
func shortened(s string, limit int) string {
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}
