package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store"
)

// wildcard matches a parameter in a path template.
var wildcard = regexp.MustCompile(`\{(\w+)\}`)

type (
	pathItem  = openapi3.PathItem
	operation = openapi3.Operation
)

// document is the parsed openapi.yaml.
type document struct{ *openapi3.T }

func loadDocument(t *testing.T) document {
	t.Helper()
	d, err := openapi3.NewLoader().LoadFromData(openapiYAML)
	require.NoError(t, err)
	return document{d}
}

// find returns the path template that matches an escaped path, or "" and an empty item.
func (d document) find(escapedPath string) (template string, item *pathItem) {
	for _, template := range d.Paths.InMatchingOrder() {
		if ok, _ := regexp.MatchString("^"+wildcard.ReplaceAllString(template, "[^/]+")+"$", escapedPath); ok {
			return template, d.Paths.Value(template)
		}
	}
	return "", &pathItem{}
}

// check requires an answer to match the document. An answer to an undocumented request must be a problem.
func (d document) check(t *testing.T, a handlerstest.Reply) {
	t.Helper()
	method := a.Request.Method
	if method == http.MethodHead {
		return
	}
	template, item := d.find(a.Request.URL.EscapedPath())
	if item.GetOperation(method) == nil {
		var v any
		require.NoError(t, json.Unmarshal(a.Content, &v), "%s %s: %s", method, a.Request.URL, a.Content)
		problem := d.Components.Schemas["Problem"].Value
		require.NoError(t, problem.VisitJSON(v, openapi3.EnableJSONSchema2020()), "%s %s", method, a.Request.URL)
		return
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: a.Request,
			Route: &routers.Route{
				Spec: d.T, Path: template, PathItem: item, Method: method, Operation: item.GetOperation(method),
			},
		},
		Status:  a.StatusCode,
		Header:  a.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	in.SetBodyBytes(a.Content)
	if ct := a.Header.Get("Content-Type"); strings.HasPrefix(ct, "text/html") || ct == "application/x-ndjson" {
		in.Options.ExcludeResponseBody = true // kin-openapi has no decoder for it
	}
	if a.Header.Get("Content-Type") == "application/x-ndjson" {
		d.checkLines(t, a.Content)
	}
	require.NoError(t, openapi3filter.ValidateResponse(t.Context(), in), "%s %s: %s", method, a.Request.URL, a.Content)
}

// checkLines requires each line of an answer of the feed to match the document.
func (d document) checkLines(t *testing.T, lines []byte) {
	t.Helper()
	for line := range bytes.Lines(lines) {
		var v any
		require.NoError(t, json.Unmarshal(line, &v), "%s", line)
		schema := d.Components.Schemas["FeedLine"].Value
		require.NoError(t, schema.VisitJSON(v, openapi3.EnableJSONSchema2020()), "%s", line)
	}
}

// operations calls each for every operation of the document.
func (d document) operations(each func(method, path string, item *pathItem, o *operation)) {
	for _, path := range d.Paths.InMatchingOrder() {
		item := d.Paths.Value(path)
		for method, o := range item.Operations() {
			each(method, path, item, o)
		}
	}
}

// parameters returns the names of an operation's parameters in a location ("path", "query").
func parameters(item *pathItem, o *operation, in string) []string {
	names := []string{}
	for _, p := range append(slices.Clone(item.Parameters), o.Parameters...) {
		if p.Value.In == in {
			names = append(names, p.Value.Name)
		}
	}
	return names
}

func TestDocumentIsValid(t *testing.T) {
	d := loadDocument(t)
	require.NoError(t,
		d.Validate(t.Context(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaFormatValidation()))
}

func TestDocumentAndRoutesAgree(t *testing.T) {
	p, err := New(Config{Listen: "localhost:0"}, nil, http.NotFoundHandler(), handlerstest.Quiet())
	require.NoError(t, err)
	var served, documented []string
	param := regexp.MustCompile(`:(\w+)`)
	for _, r := range p.engine.Routes() {
		if r.Method != http.MethodHead { // HEAD is not documented separately
			served = append(served, r.Method+" "+param.ReplaceAllString(r.Path, "{$1}"))
		}
	}
	loadDocument(t).operations(func(method, path string, item *pathItem, o *operation) {
		documented = append(documented, method+" "+path)
		var segments []string
		for _, m := range wildcard.FindAllStringSubmatch(path, -1) {
			segments = append(segments, m[1])
		}
		require.ElementsMatch(t, segments, parameters(item, o, "path"), path)
	})
	require.ElementsMatch(t, served, documented)
}

// The enums of the document match the constants of the program.
func TestDocumentAndClosedSetsAgree(t *testing.T) {
	schemas := loadDocument(t).Components.Schemas
	set := func(schema string, members ...string) []any {
		s := schemas[schema].Value
		for _, member := range members {
			s = s.Properties[member].Value
		}
		return s.Enum
	}
	texts := func(n int, text func(int) string) []any {
		all := make([]any, n)
		for i := range all {
			all[i] = text(i)
		}
		return all
	}
	reasons, misread := store.FeedbackReasons(), dlr.Reasons()
	require.Equal(t, texts(len(reasons), func(i int) string { return string(reasons[i]) }), set("Reason"))
	require.Equal(t, texts(len(misread), func(i int) string { return string(misread[i]) }),
		set("Misread"))
	types := store.EventTypes()
	require.Len(t, schemas["Event"].Value.OneOf, len(types))
	for i, kind := range schemas["Event"].Value.OneOf {
		require.Equal(t, string(types[i]), kind.Value.Properties["type"].Value.Const)
	}
	require.Equal(t, []any{string(dlr.Permanent), string(dlr.Temporary), string(dlr.Unset)}, set("Permanence"))
	require.Equal(t, texts(4, func(i int) string { return store.Source(i).String() }), set("Source"))
	require.Equal(t, texts(3, func(i int) string { return store.Flag(i).String() }), set("BatchFeedback", "flag"))
	states := append(texts(4, func(i int) string { return store.FeedbackState(i).String() }), "dropped")
	require.Equal(t, states, set("Recipient", "feedback", "state"))
	require.Equal(t, states[1:], set("BatchFeedback", "whole_batch"), "whole_batch is never none")
	effects := []any{
		string(store.Holds), string(store.Superseded), string(store.Intermediate), string(store.Older),
		string(store.Outranked),
	}
	require.Equal(t, effects, set("RecipientReport", "effect"))
}

// The error for an unknown parameter lists the known ones, which must be those of the document.
func TestDocumentAndParametersAgree(t *testing.T) {
	s := serveSample(t)
	s.document.operations(func(method, path string, item *pathItem, o *operation) {
		if !strings.HasPrefix(path, "/api/") {
			return
		}
		t.Run(method+" "+path, func(t *testing.T) {
			a := s.call(t, method, example(path, item)+"?stauts=Failed", "", nil)
			require.Equal(t, http.StatusBadRequest, a.StatusCode)
			p := a.Problem(t)
			require.Equal(t, "stauts", p.Parameter)
			names := parameters(item, o, "query")
			allowed := "none"
			if len(names) > 0 {
				allowed = strings.Join(names, ", ")
			}
			require.Equal(t, "stauts: unknown query parameter; allowed: "+allowed, p.Detail)
		})
	})
}

// example returns a path with the examples of its parameters.
func example(path string, item *pathItem) string {
	for _, p := range item.Parameters {
		path = strings.ReplaceAll(path, "{"+p.Value.Name+"}", p.Value.Example.(string))
	}
	return path
}

// The document's examples are the real answers to requests with the parameters' examples.
func TestExamplesAreReal(t *testing.T) {
	if testing.Short() {
		t.Skip("long computation in one goroutine")
	}
	loadDocument(t).operations(func(method, path string, item *pathItem, o *operation) {
		answer := o.Responses.Status(http.StatusOK).Value.Content["application/json"]
		if answer == nil {
			return
		}
		t.Run(method+" "+path, func(t *testing.T) {
			s := serveSample(t)
			body := ""
			if o.RequestBody != nil {
				examples := o.RequestBody.Value.Content["application/json"].Examples
				first, err := json.Marshal(examples["batch"].Value.Value)
				require.NoError(t, err)
				body = string(first)
			}
			query := url.Values{}
			for _, p := range o.Parameters {
				if p.Value.Example != nil {
					query.Set(p.Value.Name, fmt.Sprint(p.Value.Example))
				}
			}
			a := s.call(t, method, example(path, item)+"?"+query.Encode(), body, nil)
			require.Equal(t, http.StatusOK, a.StatusCode)
			want, err := json.Marshal(answer.Example)
			require.NoError(t, err)
			require.JSONEq(t, steady(string(want)), steady(string(a.Content)))
		})
	})
}
