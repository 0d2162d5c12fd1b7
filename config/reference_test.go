package config

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	referencePath = "../docs/configuration.md"
	begin, end    = "<!-- begin: generated from the comments in config/ -->\n", "<!-- end: generated -->\n"
)

// TestTheReferenceMatchesTheComments fails if docs/configuration.md differs from the comments on Config. To update
// the page, run DLRLOOP_UPDATE=1 go test ./config.
func TestTheReferenceMatchesTheComments(t *testing.T) {
	page, err := os.ReadFile(referencePath)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(page), begin)
	require.True(t, found)
	_, after, found := strings.Cut(rest, end)
	require.True(t, found)

	r := reference{comments: comments(t)}
	r.section("", prefix, reflect.ValueOf(*Default()))
	want := before + begin + r.String() + end + after
	if os.Getenv("DLRLOOP_UPDATE") != "" {
		require.NoError(t, os.WriteFile(referencePath, []byte(want), 0o644))
	}
	require.Equal(t, want, string(page))
}

// comments returns the doc comments of the configuration's types and fields, each as one line, by Type and
// Type.Field.
func comments(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for _, file := range []string{"config.go", "plan.go", "destination.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, d := range parsed.Decls {
			general, ok := d.(*ast.GenDecl)
			if !ok || general.Tok != token.TYPE {
				continue
			}
			spec := general.Specs[0].(*ast.TypeSpec)
			found[spec.Name.Name] = oneLine(general.Doc)
			if block, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range block.Fields.List {
					found[spec.Name.Name+"."+f.Names[0].Name] = oneLine(f.Doc)
				}
			}
		}
	}
	return found
}

func oneLine(doc *ast.CommentGroup) string { return strings.Join(strings.Fields(doc.Text()), " ") }

// reference builds the generated part of the page.
type reference struct {
	strings.Builder
	comments map[string]string
}

// section writes a heading, the comment of the block, a table of its keys, and the sections of the blocks below it.
func (r *reference) section(key, variable string, block reflect.Value) {
	t := block.Type()
	heading := "\n### Top level\n\n"
	if key != "" {
		about := strings.Replace(r.comments[t.Name()], t.Name(), "`"+key+"`", 1)
		heading = fmt.Sprintf("\n### `%s`\n\n%s\n\n", key, about)
	}
	if rows := r.rows(variable, block); rows != "" {
		r.WriteString(heading + "| key | default | | variable |\n|---|---|---|---|\n" + rows)
	}
	for i := range t.NumField() {
		f, below := t.Field(i), below(key, keyOf(t.Field(i)))
		if keyOf(f) == "" {
			continue
		}
		name := variable + "_" + strings.ToUpper(keyOf(f))
		switch {
		case f.Type.Kind() == reflect.Struct:
			r.section(below, name, block.Field(i))
		case f.Type == reflect.TypeFor[[]Plan]():
			r.section(below+"[]", name+"_0", reflect.ValueOf(DefaultPlan()))
		case f.Type == reflect.TypeFor[[]Destination]():
			r.section(below+"[]", name+"_0", reflect.ValueOf(DefaultDestination()))
		case f.Type == reflect.TypeFor[[]Basic]():
			r.section(below+"[]", name+"_0", reflect.ValueOf(Basic{}))
		}
	}
}

// rows returns the table rows of a block: its scalars and lists.
func (r *reference) rows(variable string, block reflect.Value) string {
	var rows strings.Builder
	for i := range block.NumField() {
		f, value := block.Type().Field(i), block.Field(i)
		if keyOf(f) == "" || f.Type.Kind() == reflect.Struct {
			continue
		}
		name := "`" + variable + "_" + strings.ToUpper(keyOf(f)) + "`"
		if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct {
			name = "`" + strings.Trim(name, "`") + "_0_…`"
		}
		fmt.Fprintf(&rows, "| `%s` | %s | %s | %s |\n", keyOf(f), defaultOf(value),
			r.comments[block.Type().Name()+"."+f.Name]+rangeOf(f), name)
	}
	return rows.String()
}

// rangeOf returns a sentence with the allowed values, or "" without bounds.
func rangeOf(f reflect.StructField) string {
	if !isNumeric(f.Type) {
		return ""
	}
	b, _ := boundsOf(f)
	text := fmt.Sprintf("From `%v` to `%v`.", b.least, b.greatest)
	if b.zero {
		text = "`0`, or from" + strings.TrimPrefix(text, "From")
	}
	return " " + text
}

func defaultOf(v reflect.Value) string {
	switch text := fmt.Sprint(v.Interface()); {
	case v.Kind() == reflect.Slice, v.Kind() == reflect.String && v.Len() == 0:
		return ""
	case strings.Contains(text, ":"):
		return "`\"" + text + "\"`"
	default:
		return "`" + text + "`"
	}
}

func TestEveryKeyHasAComment(t *testing.T) {
	documented := comments(t)
	eachBlock("", reflect.TypeFor[Config](), func(_ string, block reflect.Type) {
		require.NotEmpty(t, documented[block.Name()], block.Name())
		for i := range block.NumField() {
			if f := block.Field(i); keyOf(f) != "" && f.Type.Kind() != reflect.Struct {
				require.NotEmpty(t, documented[block.Name()+"."+f.Name], "%s.%s", block.Name(), f.Name)
			}
		}
	})
}
