package config

import (
	"fmt"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// Limits for the configuration file, far above what a configuration needs. A file that exceeds one of them is invalid.
// Only maxProblems is different: it limits the number of problems that are reported. The memory that the YAML library
// needs grows with the square of the nesting depth and of the number of keys. So checkYAML enforces maxMarks,
// maxNesting and maxKeys before the library parses the file.
const (
	maxMarks    = 100_000 // characters that may begin or end a token
	maxNesting  = 32      // nested blocks, lists, anchors and tags
	maxKeys     = 1000    // in one block
	maxEntries  = 5000    // in one list
	maxValues   = 200_000 // including values that aliases repeat
	maxProblems = 100     // reported by one Load
)

// checkYAML returns an error if the YAML library would need too much memory to parse text. The returned token is the
// place of the error, or nil if the whole text is too large.
func checkYAML(text string) (*token.Token, error) {
	if marks(text) > maxMarks {
		return nil, fmt.Errorf("is too large: it has more than %d punctuation marks and line breaks", maxMarks)
	}
	var n nesting
	for _, t := range lexer.Tokenize(text) {
		n.count(t)
		if len(n.blocks)+n.flow+n.properties > maxNesting {
			return t, fmt.Errorf("is nested more than %d levels deep, the limit for a configuration", maxNesting)
		}
		if n.keys() > maxKeys {
			return t, fmt.Errorf("is a block of more than %d keys, the limit for a configuration", maxKeys)
		}
	}
	return nil, nil
}

// marks counts the characters of text that may begin or end a YAML token, such as punctuation and line breaks. The more
// there are, the more memory the YAML library may need to parse text.
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

// nesting is the state of checkYAML while it reads a YAML text: the blocks, lists, anchors and tags that are open.
type nesting struct {
	blocks     []openBlock
	flow       int // number of open [ and {
	properties int // number of consecutive anchors and tags
}

// openBlock is a YAML block that has not ended yet: the column in which its keys or dashes begin, and the number of its
// keys so far.
type openBlock struct{ column, keys int }

func (n *nesting) count(t *token.Token) {
	switch t.Type {
	case token.SequenceStartType, token.MappingStartType:
		n.flow++
	case token.SequenceEndType, token.MappingEndType:
		n.flow = max(n.flow-1, 0)
	case token.SequenceEntryType, token.MappingKeyType:
		n.enterBlock(t.Position.Column)
	case token.MappingValueType:
		if key := t.Prev; key != nil && n.flow == 0 {
			n.enterBlock(key.Position.Column)
			n.blocks[len(n.blocks)-1].keys++
		}
	}
	switch {
	case t.Type == token.AnchorType || t.Type == token.TagType:
		n.properties++
	case t.Prev == nil || t.Prev.Type != token.AnchorType: // otherwise t is the anchor's name
		n.properties = 0
	}
}

// enterBlock updates the open blocks for a key or dash that begins in the given column of the YAML text. It closes all
// blocks that begin further to the right. It then opens a block in this column, unless one is already open there.
func (n *nesting) enterBlock(column int) {
	for len(n.blocks) > 0 && n.blocks[len(n.blocks)-1].column > column {
		n.blocks = n.blocks[:len(n.blocks)-1]
	}
	if len(n.blocks) == 0 || n.blocks[len(n.blocks)-1].column < column {
		n.blocks = append(n.blocks, openBlock{column: column})
	}
}

// keys returns the number of keys read so far in the innermost open YAML block, or 0 if no block is open.
func (n *nesting) keys() int {
	if len(n.blocks) == 0 {
		return 0
	}
	return n.blocks[len(n.blocks)-1].keys
}
