package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with the configuration. Printed, it is one line that never contains a secret.
type Problem struct {
	// File and, where it is known, the line and column counted from 1; or the environment variable.
	File         string
	Line, Column int
	Variable     string

	Key     string // such as plans[0].token; empty for what concerns the whole file
	Message string // what is wrong, and what to do
	Source  string // the line of the file for people to look at, secrets masked; may be empty
}

// Error is the problem in one line.
func (p Problem) Error() string {
	parts := []string{p.Place(), p.Key, p.Message}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ": ")
}

// Place says where the problem is, as editors and terminals understand it.
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

// Problems are all that is wrong, in the order of the file; what comes from the environment is last.
type Problems []Problem

// Error is one line for each problem.
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
