package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxDepth is deeper than the configuration goes; only aliases that contain themselves get there.
const maxDepth = 16

// yaml takes the content of the file into the configuration. The decoder of the library stops at the first problem; this
// walks the syntax tree and tells all.
func (l *loading) yaml(content []byte) {
	if isUTF16(content) {
		l.broken, l.source.opaque = true, true
		l.problem("", "%s", errUTF16)
		return
	}
	content = bytes.TrimPrefix(content, []byte(byteOrderMark))
	if at, err := checkYAML(string(content)); err != nil {
		l.broken, l.source.opaque = true, true
		p := l.at("", err.Error())
		if at != nil {
			p.Line, p.Column = at.Position.Line, at.Position.Column
		}
		l.add(p)
		return
	}
	file, err := parser.ParseBytes(content, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		l.syntax(err)
		return
	}
	r := reading{loading: l, anchors: make(map[string]ast.Node), values: new(int)}
	for i, document := range file.Docs {
		if document.Body == nil {
			continue
		}
		if i > 0 {
			l.source.hide(document.Body)
			l.tell("", document.Body, "a second document begins here; put everything into the first")
			continue
		}
		ast.Walk(r, document.Body)
		r.value("", document.Body, reflect.ValueOf(l.config).Elem(), 0)
	}
}

// syntax tells where the file stops being YAML.
func (l *loading) syntax(err error) {
	l.broken, l.source.opaque = true, true
	p := l.at("", "is not YAML")
	var known yaml.Error
	if errors.As(err, &known) {
		p.Message = "is not YAML: " + plainly(known.GetMessage())
		if t := known.GetToken(); t != nil {
			p.Line, p.Column = t.Position.Line, t.Position.Column
		}
	}
	l.add(p)
}

// plainly says what to do about the mistakes in YAML that people make most. The library's own words say it of none.
func plainly(message string) string {
	switch {
	case strings.HasPrefix(message, "found character '\t'"):
		return "a tab cannot indent; use spaces"
	case strings.HasPrefix(message, "mapping value is not allowed"):
		return "a key begins where none can; begin the keys of one block in the same column, and put a text that contains \": \" " +
			"into quotation marks"
	case strings.HasPrefix(message, "value is not allowed"):
		return "this line is indented like none above it; begin the keys of one block in the same column"
	default:
		return message
	}
}

// refuse tells that a node cannot be read as the value of a key, which is then known to be wrong.
func (l *loading) refuse(key string, n ast.Node, message string) {
	l.tell(key, n, message)
	l.fault(key)
}

// tell tells what is wrong with a node.
func (l *loading) tell(key string, n ast.Node, message string) {
	at := placeOf(firstToken(n))
	l.add(Problem{File: l.source.name, Line: at.line, Column: at.column, Key: key, Message: message})
}

// reading is one walk over the syntax tree.
type reading struct {
	*loading
	anchors map[string]ast.Node
	values  *int // read so far
}

// Visit collects the anchors.
func (r reading) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok {
		r.anchors[a.Name.GetToken().Value] = a.Value
	}
	return r
}

// value reads a node into what the key stands for.
func (r reading) value(key string, n ast.Node, into reflect.Value, depth int) {
	if *r.values++; *r.values > maxValues {
		r.stop(n, fmt.Sprintf("the file and its aliases set more than %d values, which no configuration does", maxValues))
	}
	if r.broken || r.full() {
		return
	}
	named := n
	n = r.follow(n)
	switch n.(type) {
	case *ast.NullNode:
		return
	case nil:
		r.refuse(key, named, "the alias has no anchor; write &name before the value that *name repeats")
		return
	}
	if _, known := r.source.places[key]; !known {
		r.source.places[key] = placeOf(firstToken(n))
	}
	switch {
	case depth > maxDepth:
		if !r.isFaulty(key) {
			r.refuse(key, n, "an alias contains itself")
		}
	case isScalar(into.Type()):
		r.scalar(key, n, into)
	case into.Kind() == reflect.Slice:
		r.list(key, n, into, depth)
	default:
		r.block(key, n, into, depth)
	}
}

// stop ends the reading for a reason that makes everything else pointless.
func (r reading) stop(n ast.Node, message string) {
	if !r.broken {
		r.tell("", n, message)
		r.broken = true
	}
}

// follow looks through anchors, aliases and tags.
func (r reading) follow(n ast.Node) ast.Node {
	for range maxDepth {
		switch inner := n.(type) {
		case *ast.AnchorNode:
			n = inner.Value
		case *ast.AliasNode:
			n = r.anchors[inner.Value.GetToken().Value]
		case *ast.TagNode:
			n = inner.Value
		default:
			return n
		}
	}
	return nil
}

func (r reading) scalar(key string, n ast.Node, into reflect.Value) {
	secret := into.Type() == reflect.TypeFor[Secret]()
	text, ok := textOf(n)
	if secret {
		r.source.hide(n)
		r.source.secrets = r.source.secrets || text != ""
		text = strings.TrimRight(text, "\r\n")
	}
	r.source.places[key] = placeOf(firstToken(n))
	if !ok {
		r.source.hide(n)
		r.refuse(key, n, "must be a single value, not a list or a block of keys")
		return
	}
	if err := set(into, text); err != nil {
		r.refuse(key, n, err.Error())
	}
}

func (r reading) list(key string, n ast.Node, into reflect.Value, depth int) {
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		r.source.hide(n)
		r.refuse(key, n, "must be a list: each entry on a line of its own after \"- \", or all in [ ]")
		return
	}
	into.SetZero()
	if len(sequence.Values) > maxEntries {
		r.refuse(key, n, fmt.Sprintf("has more than %d entries, which no configuration has", maxEntries))
		return
	}
	for i, entry := range sequence.Values {
		grow(into)
		r.value(element(key, i), entry, into.Index(i), depth+1)
	}
}

func (r reading) block(key string, n ast.Node, into reflect.Value, depth int) {
	block, ok := n.(ast.MapNode)
	if !ok {
		r.source.hide(n)
		r.refuse(key, n, "must be a block of keys: "+strings.Join(keysOf(into.Type()), ", "))
		return
	}
	r.merge(key, block, into, depth)
	seen := make(map[string]int)
	for m := block.MapRange(); m.Next(); {
		name, at := m.Key().GetToken().Value, placeOf(m.Key().GetToken())
		field := fieldOf(into, name)
		switch first, twice := seen[name]; {
		case m.Key().IsMergeKey():
		case !field.IsValid():
			r.unknown(key, name, m.KeyValue(), keysOf(into.Type()))
		case twice:
			r.source.hide(m.Value())
			r.refuse(below(key, name), m.Key(), fmt.Sprintf("is set twice; line %d sets it first", first))
		default:
			seen[name] = at.line
			r.source.places[below(key, name)] = at
			r.value(below(key, name), m.Value(), field, depth+1)
		}
	}
}

// merge reads what << takes over from another block, before the block's own keys. One << is enough.
func (r reading) merge(key string, block ast.MapNode, into reflect.Value, depth int) {
	for m := block.MapRange(); m.Next(); {
		if m.Key().IsMergeKey() {
			r.value(key, m.Value(), into, depth+1)
			return
		}
	}
}

// fieldOf is the field of a key, or the zero Value.
func fieldOf(block reflect.Value, name string) reflect.Value {
	for i := range block.NumField() {
		if name != "" && keyOf(block.Type().Field(i)) == name {
			return block.Field(i)
		}
	}
	return reflect.Value{}
}

// unknown refuses a key that there is not. Its value may be a secret, and so may be what was taken for its name.
func (r reading) unknown(block, name string, n *ast.MappingValueNode, known []string) {
	r.source.hide(n)
	if !wordlike(strings.ToLower(name)) {
		r.tell(block, n.Key, "this is not a key; write a key, a colon, a space and the value; known here: "+strings.Join(known, ", "))
		return
	}
	message := "unknown key; known here: " + strings.Join(known, ", ")
	if homes := homesOf(name); len(homes) > 0 {
		message = "unknown key here; it belongs to " + orList(homes)
	} else if meant := nearest(name, known); meant != "" {
		message = "unknown key; did you mean " + meant + "?"
		r.fault(below(block, meant))
	}
	r.refuse(below(block, name), n.Key, message)
}

// homesOf are the blocks that have a key of this name.
func homesOf(name string) []string {
	var homes []string
	eachBlock("", reflect.TypeFor[Config](), func(under string, block reflect.Type) {
		if slices.Contains(keysOf(block), name) {
			homes = append(homes, cmp.Or(under, "the top level"))
		}
	})
	return homes
}

// eachBlock visits the type of every block with its key; that of an entry of a list ends in [].
func eachBlock(under string, block reflect.Type, visit func(under string, block reflect.Type)) {
	visit(under, block)
	for i := range block.NumField() {
		f := block.Field(i)
		key, inner := below(under, keyOf(f)), f.Type
		if inner.Kind() == reflect.Slice {
			key, inner = key+"[]", inner.Elem()
		}
		if keyOf(f) != "" && inner.Kind() == reflect.Struct {
			eachBlock(key, inner, visit)
		}
	}
}

// keysOf are the keys of a block, in their order.
func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		keys = append(keys, keyOf(t.Field(i)))
	}
	return slices.DeleteFunc(keys, func(k string) bool { return k == "" })
}

// firstToken is where a node begins: for a block in block style, its first key.
func firstToken(n ast.Node) *token.Token {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return m.Values[0].Key.GetToken()
	}
	if m, ok := n.(*ast.MappingValueNode); ok {
		return m.Key.GetToken()
	}
	return n.GetToken()
}

// textOf is the text of a single value as it was written, without its quotation marks.
func textOf(n ast.Node) (text string, ok bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	default:
		return "", false
	}
}
