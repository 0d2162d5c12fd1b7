package config

import (
	"fmt"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// The bounds of a configuration in YAML are far above what one needs. The library's parser takes memory with the square of the
// depth and of the keys of a block, so the tokens are looked at before it runs.
const (
	maxMarks    = 100_000 // characters that may begin or end a token
	maxNesting  = 32      // blocks, lists, anchors and tags within each other
	maxKeys     = 1000    // of one block
	maxEntries  = 5000    // of one list
	maxValues   = 200_000 // those that aliases repeat included
	maxProblems = 100     // that are told
)

// checkYAML refuses what would take far more memory to parse than a configuration does. The error begins where, and the token is
// nil for the whole text.
func checkYAML(text string) (*token.Token, error) {
	if marks(text) > maxMarks {
		return nil, fmt.Errorf("is too large to be a configuration: it has more than %d marks and lines", maxMarks)
	}
	var n nesting
	for _, t := range lexer.Tokenize(text) {
		n.take(t)
		if len(n.blocks)+n.flow+n.properties > maxNesting {
			return t, fmt.Errorf("is nested more than %d deep, which no configuration is", maxNesting)
		}
		if n.keys() > maxKeys {
			return t, fmt.Errorf("is one block of more than %d keys, which no configuration has", maxKeys)
		}
	}
	return nil, nil
}

// marks counts the characters that may begin or end a token, which bounds the number of tokens.
func marks(text string) (n int) {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c >= 0x80:
		case c == ' ', c == '_', c == '.', c == '/':
		default:
			n++
		}
	}
	return n
}

// nesting is what a token stands in.
type nesting struct {
	blocks     []column
	flow       int // of [ ] and { }
	properties int // anchors and tags in a row
}

// column is where the keys or the dashes of a block stand.
type column struct{ at, keys int }

func (n *nesting) take(t *token.Token) {
	switch t.Type {
	case token.SequenceStartType, token.MappingStartType:
		n.flow++
	case token.SequenceEndType, token.MappingEndType:
		n.flow = max(n.flow-1, 0)
	case token.SequenceEntryType, token.MappingKeyType:
		n.block(t.Position.Column)
	case token.MappingValueType:
		if key := t.Prev; key != nil && n.flow == 0 {
			n.block(key.Position.Column)
			n.blocks[len(n.blocks)-1].keys++
		}
	}
	switch {
	case t.Type == token.AnchorType || t.Type == token.TagType:
		n.properties++
	case t.Prev == nil || t.Prev.Type != token.AnchorType: // else t is the anchor's name
		n.properties = 0
	}
}

// block begins a block at a column, unless one is there already, and ends those further in.
func (n *nesting) block(at int) {
	for len(n.blocks) > 0 && n.blocks[len(n.blocks)-1].at > at {
		n.blocks = n.blocks[:len(n.blocks)-1]
	}
	if len(n.blocks) == 0 || n.blocks[len(n.blocks)-1].at < at {
		n.blocks = append(n.blocks, column{at: at})
	}
}

// keys is how many the innermost block has so far.
func (n *nesting) keys() int {
	if len(n.blocks) == 0 {
		return 0
	}
	return n.blocks[len(n.blocks)-1].keys
}
