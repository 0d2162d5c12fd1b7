package sinch

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheAPIPathOfABaseURLIsNotDoubled(t *testing.T) {
	const want = "http://127.0.0.1:9200/xms/v1/plan-1"
	for _, base := range []string{
		"http://127.0.0.1:9200", "http://127.0.0.1:9200/", "http://127.0.0.1:9200//", "HTTP://127.0.0.1:9200",
		"http://127.0.0.1:9200/xms/v1", "http://127.0.0.1:9200/xms/v1/", "http://127.0.0.1:9200//xms//v1//",
		"http://127.0.0.1:9200/XMS/V1", "http://127.0.0.1:9200/xms/v1/plan-1", "http://127.0.0.1:9200/xms/v1/plan-1/",
	} {
		got, err := Config{Plan: "plan-1", BaseURL: base}.Endpoint()
		require.NoError(t, err, base)
		assert.Equal(t, want, got, base)
	}
	for base, want := range map[string]string{
		"https://proxy.example/sinch":                "https://proxy.example/sinch/xms/v1/plan-1",
		"https://proxy.example/sinch/xms/v1/plan-1/": "https://proxy.example/sinch/xms/v1/plan-1",
		"https://proxy.example/xms-sinch":            "https://proxy.example/xms-sinch/xms/v1/plan-1",
		"https://xms/":                               "https://xms/xms/v1/plan-1",
		"https://proxy.example/a%2Fb":                "https://proxy.example/a%2Fb/xms/v1/plan-1",
		"https://proxy.example/100%25":               "https://proxy.example/100%25/xms/v1/plan-1",
	} {
		got, err := Config{Plan: "plan-1", BaseURL: base}.Endpoint()
		require.NoError(t, err, base)
		assert.Equal(t, want, got, base)
	}
	got, err := Config{Plan: "plan-1", Project: Project{ID: "pro 1"}, BaseURL: "http://h/xms/v1/pro%201"}.Endpoint()
	require.NoError(t, err)
	assert.Equal(t, "http://h/xms/v1/pro%201", got)
}

func TestABaseURLThatDoesNotLeadToTheAPIIsRefused(t *testing.T) {
	for base, want := range map[string]error{
		"http://h/xms":                   errWrongAPIPath,
		"http://h/xms/v2":                errWrongAPIPath,
		"http://h/xms/v1/plan-2":         errWrongAPIPath,
		"http://h/xms/v1/PLAN-1":         errWrongAPIPath,
		"http://h/xms/v1/plan-1/x":       errWrongAPIPath,
		"http://h/xms/v1/plan-1/batches": errWrongAPIPath,
		"http://h/xms/v1/xms/v1":         errWrongAPIPath,
		"http://h/xms%2Fv1":              errWrongAPIPath,
		"http://h/xms%2fv1/":             errWrongAPIPath,
		"http://h/a/XMS%2FV1/plan-1":     errWrongAPIPath,
		"http://h/%2Fxms%2Fv1":           errWrongAPIPath,
		"http://h/xms%252Fv1":            errWrongAPIPath,
		"http://h/%78ms/v1":              errWrongAPIPath,
		"http://h/xms%5Cv1":              errWrongAPIPath,
		"http://h/xms%20/v1":             errWrongAPIPath,
		"http://h/xms;a=b/v1":            errWrongAPIPath,
		"http://h?":                      errExtraParts,
		"http://h#":                      errExtraParts,
		"http://h/#a":                    errExtraParts,
		"http://u@h":                     errExtraParts,
		"http://h:0":                     errPort,
		"http://h:99999":                 errPort,
		"http://h:":                      errPort,
		"http://:80":                     errURL,
		"http:///xms/v1":                 errURL,
		"http://h h":                     errURL,
		"h:9200":                         errURL,
		"//h":                            errURL,
		"http://h/a/../b":                errDotSegments,
		"http://h/%2e%2E":                errDotSegments,
		"http://h/.":                     errDotSegments,
	} {
		_, err := Config{Plan: "plan-1", BaseURL: base}.Endpoint()
		require.ErrorIs(t, err, want, base)
	}
}

func TestATokenThatDoesNotFitAHeaderIsRefused(t *testing.T) {
	require.NoError(t, CheckToken("0123456789abcdefABCDEF-._~+/="))
	for token, want := range map[Secret]string{
		"Bearer hush": `begins with "Bearer "`, "bearer hush": `begins with "Bearer "`,
		`"hush"`: "quotation mark", "'hush'": "quotation mark",
		"hu sh": "contains a space", "\ufeffhush": "another character", "hush\u200b": "another character",
		"hu\u00a0sh": "another character",
		"hüsh":       "another character", "hush\n": "another character",
	} {
		err := CheckToken(token)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hush")
	}
}
