package dlr

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestUnique(t *testing.T) {
	for document, want := range map[string]string{
		`{}`:                        `{}`,
		` [ 1, "a,{}" , null ] `:    `[1,"a,{}",null]`,
		`7`:                         `7`,
		`{"a":1,"b":2}`:             `{"a":1,"b":2}`,
		`{"a":1,"a":2}`:             `{"a":2}`,
		`{"a":1,"b":3,"a":2,"b":4}`: `{"a":2,"b":4}`,
		`{"a":1, "a":2, "a":{"a" : [1], "a":[ {"b":1,"b":1e2} ]}}`:  `{"a":{"a":[{"b":1e2}]}}`,
		`{"a":{"x":1,"x":2},"b":0,"a":[]}`:                          `{"b":0,"a":[]}`,
		`{"":1,"":2,"A":1,"a":2}`:                                   `{"":2,"A":1,"a":2}`,
		`{"\u0061":1,"a":"\u0061<\/>","n":12345678901234567890.50}`: `{"a":"\u0061<\/>","n":12345678901234567890.50}`,
		`[{"a":1,"a":2},{"a":3}]`:                                   `[{"a":2},{"a":3}]`,
	} {
		got, err := Unique([]byte(document))
		require.NoError(t, err)
		require.Equal(t, want, string(got), document)
	}
	for _, document := range []string{``, `{`, `{"a":1}{}`, `{"a":1,}`} {
		_, err := Unique([]byte(document))
		require.Error(t, err, document)
	}
}

// Nesting must not make Unique slower: each byte is read a fixed number of times.
func TestUniqueOfADeepDocument(t *testing.T) {
	const depth = 9000
	document := strings.Repeat(`{"a":0,"a":`, depth) + "1" + strings.Repeat("}", depth)
	got, err := Unique([]byte(document))
	require.NoError(t, err)
	require.Equal(t, strings.Repeat(`{"a":`, depth)+"1"+strings.Repeat("}", depth), string(got))
}

// Unique does not change what encoding/json decodes.
func TestUniqueChangesNoValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var draw func(depth int) string
		draw = func(depth int) string {
			kind := rapid.IntRange(0, 5).Draw(t, "kind")
			if depth == 0 || kind > 3 {
				return rapid.SampledFrom([]string{`1`, `"a"`, `null`, `"\",}"`, `-0.5e3`, `true`}).Draw(t, "scalar")
			}
			var parts []string
			for range rapid.IntRange(0, 4).Draw(t, "length") {
				part := draw(depth - 1)
				if kind > 0 {
					part = rapid.SampledFrom([]string{`"a"`, `"b"`, `"\u0061"`, `"A"`}).Draw(t, "name") + `: ` + part
				}
				parts = append(parts, part)
			}
			if kind == 0 {
				return `[` + strings.Join(parts, ` , `) + `]`
			}
			return `{` + strings.Join(parts, ` , `) + `}`
		}
		document := draw(4)
		got, err := Unique([]byte(document))
		require.NoError(t, err)
		var before, after any
		require.NoError(t, json.Unmarshal([]byte(document), &before))
		require.NoError(t, json.Unmarshal(got, &after))
		require.Equal(t, before, after)
		var compact bytes.Buffer
		require.NoError(t, json.Compact(&compact, got))
		require.Equal(t, compact.String(), string(got))
		again, err := Unique(got)
		require.NoError(t, err)
		require.Equal(t, string(got), string(again))
	})
}
