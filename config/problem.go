package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one error or warning about the configuration. The method Error formats it as one line without secrets.
type Problem struct {
	// File, Line and Column are the place in the file; Line and Column are counted from 1, and 0 means unknown. If the
	// value comes from an environment variable, Variable is its name and File is empty.
	File         string
	Line, Column int
	Variable     string

	Key     string // for example plans[0].token; empty if the problem concerns the whole file
	Message string // what is wrong and what to do
	Source  string // the line of the file with its secrets masked; empty if Line is 0
}

// Error returns the problem as one line: the place, the key and the message, separated by colons. It contains no
// secret.
func (p Problem) Error() string {
	parts := []string{p.Place(), p.Key, p.Message}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ": ")
}

// Place returns where the problem is. For a problem in a file it returns file:line:column, a format that editors and
// terminals recognize, or only the file if the line is unknown. For an environment variable it returns $NAME. If
// neither a file nor a variable is known, it returns "environment".
func (p Problem) Place() string {
	switch {
	case p.Variable != "":
		return "$" + p.Variable
	case p.Line > 0:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	case p.File != "":
		return p.File
	default:
		return "environment"
	}
}

// Problems is a list of problems, in the order of their lines in the file. Problems of environment variables come last.
// Load returns it as its error.
type Problems []Problem

// Error returns one line for each problem, without a line break at the end.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Variable, b.Variable),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
		)
	})
}
