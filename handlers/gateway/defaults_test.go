package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const callbackHere = "https://dlr.example.com/webhooks/plan-a"

// completed returns body as completeSend passes it on to Sinch.
func completed(t require.TestingT, body string) string {
	b, err := io.ReadAll(spliced([]byte(body), completion([]byte(body), callbackHere)))
	require.NoError(t, err)
	return string(b)
}

func TestASendIsCompleted(t *testing.T) {
	const kind, url = `"delivery_report":"per_recipient_final"`, `"callback_url":"` + callbackHere + `"`
	for _, c := range []struct{ sent, wanted string }{
		{
			`{"to":["1"],"feedback_enabled":true}`,
			`{` + url + `,` + kind + `,"to":["1"],"feedback_enabled":true}`,
		},
		{
			" \n{ \"feedback_enabled\" : true\t}\n",
			" \n{" + url + "," + kind + ", \"feedback_enabled\" : true\t}\n",
		},
		{
			`{"feedback\u005fenabled":true}`,
			`{` + url + `,` + kind + `,"feedback\u005fenabled":true}`,
		},
		{
			`{"feedback_enabled":true,"delivery_report":null}`,
			`{` + url + `,"feedback_enabled":true,"delivery_report":"per_recipient_final"}`,
		},
		{
			`{"callback_url":null,"feedback_enabled":true}`,
			`{` + kind + `,` + url + `,"feedback_enabled":true}`,
		},
		{
			`{"callback_url" : null ,"delivery_report":"full"}`,
			`{"callback_url" : "` + callbackHere + `" ,"delivery_report":"full"}`,
		},
		{
			`{"delivery_report":null,"callback_url":null,"feedback_enabled":true}`,
			`{` + kind + `,` + url + `,"feedback_enabled":true}`,
		},
		{
			`{"callback_url":null,"delivery_report":null,"feedback_enabled":true}`,
			`{` + url + `,` + kind + `,"feedback_enabled":true}`,
		},
		{
			`{"delivery_report":"summary"}`,
			`{` + url + `,"delivery_report":"summary"}`,
		},
		{
			`{"delivery_report":"none","delivery_report":"full"}`,
			`{` + url + `,"delivery_report":"none","delivery_report":"full"}`,
		},
		{
			`{"delivery_report":"full","feedback_enabled":true,"callback_url":"https://a.example.com"}`,
			`{"delivery_report":"full","feedback_enabled":true,"callback_url":"https://a.example.com"}`,
		},
		{
			`{"feedback_enabled":true,"callback_url":"https://a.example.com"}`,
			`{` + kind + `,"feedback_enabled":true,"callback_url":"https://a.example.com"}`,
		},
		{
			`{"callback_url":"","delivery_report":"full"}`,
			`{"callback_url":"","delivery_report":"full"}`,
		},
		{
			`{"body":"\"}{][\\","x":[{"delivery_report":"full"},"]"],"feedback_enabled":true}`,
			`{` + url + `,` + kind + `,"body":"\"}{][\\","x":[{"delivery_report":"full"},"]"],"feedback_enabled":true}`,
		},
	} {
		require.Equal(t, c.wanted, completed(t, c.sent))
		require.True(t, json.Valid([]byte(c.wanted)))
	}
}

func TestACompleteSendIsUnchanged(t *testing.T) {
	for _, body := range []string{
		`{}`, `{ }`, `{"to":["1"]}`, `{"feedback_enabled":false}`, `{"feedback_enabled":"true"}`,
		`{"feedback_enabled":null}`, `{"feedback_enabled":1}`,
		`{"delivery_report":"none"}`, `{"delivery_report":"none","feedback_enabled":true}`,
		`{"delivery_report":7,"feedback_enabled":true}`,
		`{"x":{"feedback_enabled":true}}`, `{"Feedback_Enabled":true}`,
		`{"feedback_enabled":true,"feedback_enabled":false}`,
		``, ` `, `null`, `[]`, `"feedback_enabled"`, `7`, `[{"feedback_enabled":true}]`,
		`{"feedback_enabled":true`, `{"feedback_enabled":true}}`, `{"feedback_enabled":true} {}`,
		`{feedback_enabled:true}`, "\ufeff{\"feedback_enabled\":true}",
		"\x1f\x8b\x08",
	} {
		require.Equal(t, body, completed(t, body))
	}
}

// anyJSON draws a JSON value, nested up to depth, with brackets and quotes in its strings.
func anyJSON(depth int) *rapid.Generator[any] {
	flat := rapid.OneOf(
		rapid.Just[any](nil), rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.Float64Range(-1e9, 1e9), func(f float64) any { return f }),
		rapid.Map(rapid.StringOfN(rapid.SampledFrom([]rune("ab\"\\{}[],: \n\u2028é😀\x00")), 0, 8, -1),
			func(s string) any { return s }),
	)
	if depth == 0 {
		return flat
	}
	inner := anyJSON(depth - 1)
	return rapid.OneOf(flat,
		rapid.Map(rapid.SliceOfN(inner, 0, 3), func(l []any) any { return l }),
		rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"a", "to", "delivery_report", "callback_url", "x\"y"}),
			inner, 0, 3),
			func(m map[string]any) any { return m }))
}

// TestCompletionAddsMembersAndChangesNothingElse draws objects and compares their members before and after completion.
func TestCompletionAddsMembersAndChangesNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		object := rapid.MapOfN(rapid.SampledFrom([]string{"to", "body", "a", "x\"y", "\u00e9"}), anyJSON(3), 0,
			4).Draw(t, "object")
		for name, values := range map[string][]any{
			"feedback_enabled": {true, false, nil, "true"},
			"delivery_report":  {"none", "full", "per_recipient", nil, 3.0},
			"callback_url":     {"https://app.example.com", nil, ""},
		} {
			if i := rapid.IntRange(-1, len(values)-1).Draw(t, name); i >= 0 {
				object[name] = values[i]
			}
		}
		var sent bytes.Buffer
		e := json.NewEncoder(&sent)
		e.SetEscapeHTML(rapid.Bool().Draw(t, "escapes"))
		if rapid.Bool().Draw(t, "indented") {
			e.SetIndent(" ", "\t")
		}
		require.NoError(t, e.Encode(object))

		wanted := maps.Clone(object)
		if object["feedback_enabled"] == true && object["delivery_report"] == nil {
			wanted["delivery_report"] = "per_recipient_final"
		}
		if kind, named := wanted["delivery_report"].(string); named && kind != "none" && object["callback_url"] == nil {
			wanted["callback_url"] = callbackHere
		}
		got := completed(t, sent.String())
		var read map[string]any
		require.NoError(t, json.Unmarshal([]byte(got), &read))
		require.Equal(t, wanted, read)
		if maps.EqualFunc(wanted, object, func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
			require.Equal(t, sent.String(), got)
		}
	})
}

func withDefaults(c *Config) { c.Plans[0].Callback = callbackHere }

func TestSendsAreCompletedOnTheWayToSinch(t *testing.T) {
	h := newFixture(t, withDefaults)
	const body = `{"to":["12017777777"],"feedback_enabled":true}`
	for name, r := range map[string]*http.Request{
		"a length announced": h.request(http.MethodPost, "/batches", strings.NewReader(body)),
		"none announced":     h.request(http.MethodPost, "/batches", io.MultiReader(strings.NewReader(body))),
	} {
		require.Equal(t, http.StatusOK, h.do(r).StatusCode)
		got := h.upstream.only(t)
		require.Equal(t, completed(t, body), string(got.body), name)
		require.EqualValues(t, len(got.body), got.length, name)
		require.Empty(t, got.encoding, name)
		require.Equal(t, callerToken, got.header.Get("Authorization"))
	}
	for _, tail := range []string{"/batches/B1", "/batches/dry_run", "/groups"} {
		h.call(http.MethodPost, tail, body)
		require.Equal(t, body, string(h.upstream.only(t).body), "only sends are completed")
	}
	h.call(http.MethodPost, "/batches", "")
	require.Empty(t, h.upstream.only(t).body)

	r := h.request(http.MethodPost, "/batches", strings.NewReader(compressed(t, body)))
	r.Header.Set("Content-Encoding", "gzip")
	h.do(r)
	require.Equal(t, compressed(t, body), string(h.upstream.only(t).body))

	r = h.request(http.MethodPost, "/batches", strings.NewReader(body))
	r.Header.Set("Content-Encoding", "own")
	h.do(r)
	require.Equal(t, body, string(h.upstream.only(t).body), "a body with an unknown Content-Encoding is unchanged")

	h.gateway.SetCallbacks(map[string]string{planA: "https://new.example.com/webhooks/plan-a/t", "plan-x": "x"})
	h.call(http.MethodPost, "/batches", body)
	require.Contains(t, string(h.upstream.only(t).body), `"callback_url":"https://new.example.com/webhooks/plan-a/t"`)
}

func TestSendsAreUnchangedWithoutACallback(t *testing.T) {
	h := newFixture(t, nil)
	h.gateway.SetCallbacks(map[string]string{planA: callbackHere})
	const body = `{"to":["12017777777"],"feedback_enabled":true}`
	h.call(http.MethodPost, "/batches", body)
	require.Equal(t, body, string(h.upstream.only(t).body))
}

func TestABodyToCompleteIsLimited(t *testing.T) {
	h := newFixture(t, func(c *Config) {
		withDefaults(c)
		c.MaxBody = 100
	})
	r := h.request(http.MethodPost, "/batches", io.MultiReader(strings.NewReader(strings.Repeat("x", 101))))
	require.Contains(t, h.problem(h.do(r), http.StatusRequestEntityTooLarge), "100 bytes")
	require.Empty(t, h.upstream.newCalls())
}

// TestASendIsBufferedOnce completes a send of 1000 recipients: reading it allocates one and a half times the body at
// most, passing it on a quarter.
func TestASendIsBufferedOnce(t *testing.T) {
	to := make([]string, 1000)
	for i := range to {
		to[i] = fmt.Sprintf("1201%07d", i)
	}
	sent, err := json.Marshal(map[string]any{"to": to, "feedback_enabled": true, "body": strings.Repeat("x", 1600)})
	require.NoError(t, err)
	length := uint64(len(sent))

	var body []byte
	taking := allocated(func() {
		in := requestBody{ReadCloser: io.NopCloser(bytes.NewReader(sent))}
		body, err = in.whole(int64(len(sent)))
	})
	require.NoError(t, err)
	require.Equal(t, sent, body)
	require.Less(t, taking, length+length/2)

	buffer := make([]byte, 4096)
	sending := allocated(func() {
		r := spliced(body, completion(body, callbackHere))
		_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, buffer)
	})
	require.NoError(t, err)
	require.Less(t, sending, length/4)
}

// allocated returns the bytes that one run of f allocates, on average.
func allocated(f func()) uint64 {
	const runs = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / runs
}
