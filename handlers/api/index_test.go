package api

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLinksOfTheIndexWork(t *testing.T) {
	s := serveSample(t)
	a := s.get(t, "/")
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Equal(t, "text/html; charset=utf-8", a.Header.Get("Content-Type"))
	links := regexp.MustCompile(`href="([^"]+)"`).FindAllSubmatch(a.Content, -1)
	require.Len(t, links, 12)
	for _, link := range links {
		require.Equal(t, http.StatusOK, s.get(t, string(link[1])).StatusCode, string(link[1]))
	}
}

// The policy allows the page's own style, and no script, image or frame.
func TestIndexPolicyMatchesThePage(t *testing.T) {
	s := serveSample(t)
	a := s.get(t, "/")
	styles := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllSubmatch(a.Content, -1)
	require.Len(t, styles, 1)
	digest := sha256.Sum256(styles[0][1])
	require.Equal(t, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(digest[:])+
		"'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'", a.Header.Get("Content-Security-Policy"))
	require.NotRegexp(t, `<script|<img|<link|style=|src=|\son\w+=`, string(a.Content))
}

func TestMetricsAndDocumentAreServed(t *testing.T) {
	s := serveSample(t)
	a := s.get(t, "/metrics")
	require.Equal(t, "up 1\n", string(a.Content))
	a = s.get(t, "/openapi.yaml")
	require.Equal(t, "application/yaml", a.Header.Get("Content-Type"))
	require.Equal(t, openapiYAML, a.Content)
}
