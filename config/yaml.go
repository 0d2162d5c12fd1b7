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
)

// maxDepth is the maximum nesting of blocks and lists in the configuration file, with aliases replaced by their values.
// No valid configuration is nested that deeply. The usual cause of deeper nesting is a YAML alias that contains itself,
// so the error message names this cause.
const maxDepth = 16

// yaml decodes content, the text of the configuration file, into the configuration. It records a problem for every
// error in the file.
func (l *loader) yaml(content []byte) {
	if isUTF16(content) {
		l.broken, l.source.opaque = true, true
		l.problem("", "%s", errUTF16)
		return
	}
	content = bytes.TrimPrefix(content, []byte(byteOrderMark))
	if at, err := checkYAML(string(content)); err != nil {
		l.broken, l.source.opaque = true, true
		p := l.newProblem("", err.Error())
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
	r := decoder{loader: l, anchors: make(map[string]ast.Node), values: new(int)}
	for i, document := range file.Docs {
		if document.Body == nil {
			continue
		}
		if i > 0 {
			l.source.maskLines(document.Body)
			l.report("", document.Body, "a second document begins here; put everything into the first")
			continue
		}
		ast.Walk(r, document.Body)
		r.value("", document.Body, reflect.ValueOf(l.config).Elem(), 0)
	}
}

// syntax records an error of the YAML parser as a problem, at the place that the error names.
func (l *loader) syntax(err error) {
	l.broken, l.source.opaque = true, true
	p := l.newProblem("", "is not YAML")
	var known yaml.Error
	if errors.As(err, &known) {
		p.Message = "is not YAML: " + explainSyntax(known.GetMessage())
		if t := known.GetToken(); t != nil {
			p.Line, p.Column = t.Position.Line, t.Position.Column
		}
	}
	l.add(p)
}

// explainSyntax returns advice for the user if message, from the YAML library, is about a common mistake. Otherwise it
// returns message unchanged.
func explainSyntax(message string) string {
	switch {
	case strings.HasPrefix(message, "found character '\t'"):
		return "a tab is not allowed as indentation; use spaces"
	case strings.HasPrefix(message, "mapping value is not allowed"):
		return "a key is not allowed here; start all keys of a block in the same column, and put a text " +
			"that contains \": \" into quotation marks"
	case strings.HasPrefix(message, "value is not allowed"):
		return "this indentation matches no line above; start all keys of a block in the same column"
	default:
		return message
	}
}

// refuse records that the YAML node n is not a valid value of key, at the place of n. It marks key as invalid, so that
// later checks skip it.
func (l *loader) refuse(key string, n ast.Node, message string) {
	l.report(key, n, message)
	l.markInvalid(key)
}

// report records a problem with a key, at the line and column of a YAML node. Unlike the method problem, it does so
// even if the key is marked as invalid.
func (l *loader) report(key string, n ast.Node, message string) {
	at := placeOf(firstToken(n))
	l.add(Problem{File: l.source.name, Line: at.line, Column: at.column, Key: key, Message: message})
}

// decoder decodes the syntax tree of one YAML file into the configuration. It records errors as problems of the loader.
type decoder struct {
	*loader
	anchors map[string]ast.Node
	values  *int // number of values decoded so far
}

// Visit implements ast.Visitor. It stores the value of every YAML anchor (&name) of the file, so that aliases (*name)
// can be replaced by it.
func (r decoder) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok {
		r.anchors[a.Name.GetToken().Value] = a.Value
	}
	return r
}

// value decodes the YAML node n, the value of key, into target. A null leaves target unchanged. If n does not have the
// type of target, such as a list where a number is needed, value records a problem. depth is the number of blocks and
// lists around n.
func (r decoder) value(key string, n ast.Node, target reflect.Value, depth int) {
	if *r.values++; *r.values > maxValues {
		r.stop(n, fmt.Sprintf("the file and its aliases set more than %d values, the limit for a configuration", maxValues))
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
		if !r.isInvalid(key) {
			r.refuse(key, n, "an alias contains itself")
		}
	case isScalar(target.Type()):
		r.scalar(key, n, target)
	case target.Kind() == reflect.Slice:
		r.list(key, n, target, depth)
	default:
		r.block(key, n, target, depth)
	}
}

// stop records a problem at the place of the YAML node n, and ends the decoding of the file: it sets broken, so that
// the method value decodes nothing more and the function Load skips its checks.
func (r decoder) stop(n ast.Node, message string) {
	if !r.broken {
		r.report("", n, message)
		r.broken = true
	}
}

// follow returns the YAML node that an anchor, an alias or a tag stands for. It returns nil for an alias without an
// anchor, and any other node unchanged.
func (r decoder) follow(n ast.Node) ast.Node {
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

func (r decoder) scalar(key string, n ast.Node, into reflect.Value) {
	secret := into.Type() == reflect.TypeFor[Secret]()
	text, ok := textOf(n)
	if secret {
		r.source.maskLines(n)
		r.source.secrets = r.source.secrets || text != ""
		text = strings.TrimRight(text, "\r\n")
	}
	r.source.places[key] = placeOf(firstToken(n))
	if !ok {
		r.source.maskLines(n)
		r.refuse(key, n, "must be a single value, not a list or a block of keys")
		return
	}
	if err := set(into, text); err != nil {
		r.refuse(key, n, err.Error())
	}
}

func (r decoder) list(key string, n ast.Node, into reflect.Value, depth int) {
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		r.source.maskLines(n)
		r.refuse(key, n, "must be a list: each entry on a line of its own after \"- \", or all in [ ]")
		return
	}
	into.SetZero()
	if len(sequence.Values) > maxEntries {
		r.refuse(key, n, fmt.Sprintf("has more than %d entries, the limit for a configuration", maxEntries))
		return
	}
	for i, entry := range sequence.Values {
		appendDefault(into)
		r.value(element(key, i), entry, into.Index(i), depth+1)
	}
}

func (r decoder) block(key string, n ast.Node, into reflect.Value, depth int) {
	block, ok := n.(ast.MapNode)
	if !ok {
		r.source.maskLines(n)
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
			r.source.maskLines(m.Value())
			r.refuse(below(key, name), m.Key(), fmt.Sprintf("is set twice; the first time on line %d", first))
		default:
			seen[name] = at.line
			r.source.places[below(key, name)] = at
			r.value(below(key, name), m.Value(), field, depth+1)
		}
	}
}

// merge decodes the value of the YAML merge key (<<) of a block, if there is one. Call merge before decoding the other
// keys of the block, so that they override the merged values.
func (r decoder) merge(key string, block ast.MapNode, into reflect.Value, depth int) {
	for m := block.MapRange(); m.Next(); {
		if m.Key().IsMergeKey() {
			r.value(key, m.Value(), into, depth+1)
			return
		}
	}
}

// fieldOf returns the field of a configuration struct that has this name in the file. It returns the zero Value if
// there is none.
func fieldOf(block reflect.Value, name string) reflect.Value {
	for i := range block.NumField() {
		if name != "" && keyOf(block.Type().Field(i)) == name {
			return block.Field(i)
		}
	}
	return reflect.Value{}
}

// unknown records the problem that a block has no member called name. block is the key of the block, known lists all
// its members, and n is the unknown member with its value. The message tells the user which member may be meant.
// unknown hides the lines of n from error messages, because the value, or even the name, may be a secret.
func (r decoder) unknown(block, name string, n *ast.MappingValueNode, known []string) {
	r.source.maskLines(n)
	if !isKeyName(strings.ToLower(name)) {
		r.report(block, n.Key, "this is not a key; write a key, a colon, a space and the value; known keys: "+
			strings.Join(known, ", "))
		return
	}
	message := "unknown key; known keys: " + strings.Join(known, ", ")
	if homes := blocksWith(name); len(homes) > 0 {
		message = "unknown key here; it belongs in " + orList(homes)
	} else if meant := nearest(name, known); meant != "" {
		message = "unknown key; did you mean " + meant + "?"
		r.markInvalid(below(block, meant))
	}
	r.refuse(below(block, name), n.Key, message)
}

// blocksWith returns the keys of all blocks of the configuration that have a member with this name, to tell the user
// where a misplaced key belongs.
func blocksWith(name string) []string {
	var homes []string
	eachBlock("", reflect.TypeFor[Config](), func(blockKey string, block reflect.Type) {
		if slices.Contains(keysOf(block), name) {
			homes = append(homes, cmp.Or(blockKey, "the top level"))
		}
	})
	return homes
}

// eachBlock calls visit for a struct type of the configuration, called a block, and for every struct type inside it.
// The key of a type in a list ends with [], such as plans[].
func eachBlock(blockKey string, block reflect.Type, visit func(blockKey string, block reflect.Type)) {
	visit(blockKey, block)
	for i := range block.NumField() {
		f := block.Field(i)
		key, inner := below(blockKey, keyOf(f)), f.Type
		if inner.Kind() == reflect.Slice {
			key, inner = key+"[]", inner.Elem()
		}
		if keyOf(f) != "" && inner.Kind() == reflect.Struct {
			eachBlock(key, inner, visit)
		}
	}
}

// keysOf returns the names that the fields of a struct type have in the configuration file, in the order of the fields.
func keysOf(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		keys = append(keys, keyOf(t.Field(i)))
	}
	return slices.DeleteFunc(keys, func(k string) bool { return k == "" })
}
