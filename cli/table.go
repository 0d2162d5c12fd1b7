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

// table collects rows of text, and its method print writes them to out in aligned columns. The first row is the
// heading.
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

func (t *table) empty() bool { return len(t.rows) == 1 }

// print writes the table, or only emptyText if there are no rows below the heading.
func (t *table) print(emptyText string) error {
	if t.empty() {
		_, err := fmt.Fprintln(t.out, emptyText)
		return err
	}
	return writeAligned(t.out, t.rows)
}

// details is a list of names and values, printed one pair a line. The method add leaves out an empty value.
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
		fmt.Fprintln(w, strings.Join(cells, "\t")) // Flush returns write errors
	}
	return w.Flush()
}

// printable returns s on one line, with unprintable characters escaped. Text from outside can then neither break a
// table nor send escape sequences to the terminal.
func printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

// clock formats t in UTC with milliseconds, as 2026-03-02T10:00:00.000Z. Flags such as --since accept this format. It
// returns "" for the zero time.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return ""
}

// shortened returns s if it has at most limit characters. Otherwise it returns the first limit-1 characters and an
// ellipsis.
func shortened(s string, limit int) string {
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}
