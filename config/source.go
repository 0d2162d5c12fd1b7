package config

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// source is the file that is read: where each key was set, and which lines may be shown.
type source struct {
	name    string
	lines   []string
	places  map[string]place
	hidden  map[int]bool // lines that hold a secret, or what may be one
	opaque  bool         // not understood: every line may hold a secret
	secrets bool         // a secret is written in the file itself
}

// place is counted from 1.
type place struct{ line, column int }

func newSource(name string, content []byte) source {
	return source{
		name:   name,
		lines:  strings.Split(string(content), "\n"),
		places: make(map[string]place),
		hidden: make(map[int]bool),
	}
}

func placeOf(t *token.Token) place { return place{line: t.Position.Line, column: t.Position.Column} }

// excerpt is a line as it may be shown, without its comment: of a line that may hold a secret, only the first key.
func (s *source) excerpt(line int) string {
	if line < 1 || line > len(s.lines) {
		return ""
	}
	text, _, _ := strings.Cut(s.lines[line-1], " #")
	text = strings.TrimRight(text, "\r ")
	if !s.opaque && !s.hidden[line] {
		return text
	}
	key, _, found := strings.Cut(text, ":")
	if name := strings.TrimLeft(key, " -"); found && wordlike(name) {
		return key + ": " + masked
	}
	return text[:len(text)-len(strings.TrimLeft(text, " -"))] + masked
}

// wordlike reports whether a text can be a key, so that showing it shows no secret.
func wordlike(text string) bool {
	return text != "" && len(text) <= 24 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// hide keeps the lines of a node and all below it from being shown.
func (s *source) hide(n ast.Node) { ast.Walk(hiding{s}, n) }

type hiding struct{ *source }

// Visit hides the lines from the node's token to where the next one begins.
func (h hiding) Visit(n ast.Node) ast.Visitor {
	first := n.GetToken()
	end := len(h.lines)
	if next := first.Next; next != nil {
		end = next.Position.Line
		if !closes(next) {
			end--
		}
	}
	for line := first.Position.Line; line <= max(end, first.Position.Line); line++ {
		h.hidden[line] = true
	}
	return h
}

// closes reports whether a token can stand on the last line of a text that goes over several.
func closes(t *token.Token) bool {
	switch t.Type {
	case token.CollectEntryType, token.MappingEndType, token.SequenceEndType, token.CommentType:
		return true
	default:
		return false
	}
}
