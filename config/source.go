package config

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// source is the configuration file for error messages: its lines, the place of every key, and which lines hold secrets.
type source struct {
	name        string
	lines       []string
	places      map[string]place
	maskedLines map[int]bool // numbers of the lines that hold or may hold a secret
	opaque      bool         // the file could not be parsed, so every line may hold a secret
	secrets     bool         // the file itself contains a secret
}

// place is a position in the configuration file. The line and the column are counted from 1.
type place struct{ line, column int }

func newSource(name string, content []byte) source {
	return source{
		name:        name,
		lines:       strings.Split(string(content), "\n"),
		places:      make(map[string]place),
		maskedLines: make(map[int]bool),
	}
}

func placeOf(t *token.Token) place { return place{line: t.Position.Line, column: t.Position.Column} }

// excerpt returns a line of the file, without its comment, for an error message. If the line may hold a secret, it
// returns *** in place of all but the key at the start of the line.
func (s *source) excerpt(line int) string {
	if line < 1 || line > len(s.lines) {
		return ""
	}
	text, _, _ := strings.Cut(s.lines[line-1], " #")
	text = strings.TrimRight(text, "\r ")
	if !s.opaque && !s.maskedLines[line] {
		return text
	}
	key, _, found := strings.Cut(text, ":")
	if name := strings.TrimLeft(key, " -"); found && isKeyName(name) {
		return key + ": " + masked
	}
	return text[:len(text)-len(strings.TrimLeft(text, " -"))] + masked
}

// isKeyName reports whether text looks like a key of the configuration: at most 24 lowercase letters and underscores.
// Messages show such a key even if its line may hold a secret.
func isKeyName(text string) bool {
	return text != "" && len(text) <= 24 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// maskLines hides the lines of a YAML node, and of all nodes below it, from error messages, because they may hold a
// secret.
func (s *source) maskLines(n ast.Node) { ast.Walk(masker{s}, n) }

// masker is the ast.Visitor that hides the lines of YAML nodes from error messages; the method maskLines uses it.
type masker struct{ *source }

// Visit marks the lines of the YAML node n as masked, so that no error message quotes a secret in them: the line where
// the token of n begins, and all lines up to the line before the next token. It also marks the line of the next token
// if canShareLine returns true for this token, because n may end on the same line.
func (h masker) Visit(n ast.Node) ast.Visitor {
	first := n.GetToken()
	end := len(h.lines)
	if next := first.Next; next != nil {
		end = next.Position.Line
		if !canShareLine(next) {
			end--
		}
	}
	for line := first.Position.Line; line <= max(end, first.Position.Line); line++ {
		h.maskedLines[line] = true
	}
	return h
}

// canShareLine reports whether the token t can be on the same line as the end of a multi-line text before it. This is
// true for a comma, a closing bracket and a comment.
func canShareLine(t *token.Token) bool {
	switch t.Type {
	case token.CollectEntryType, token.MappingEndType, token.SequenceEndType, token.CommentType:
		return true
	default:
		return false
	}
}
