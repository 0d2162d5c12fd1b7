package gateway

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
)

// TestNoPathLeavesThePlan sends, with the plan's token, paths that some servers resolve to a path of another plan.
func TestNoPathLeavesThePlan(t *testing.T) {
	h := newFixture(t, ownToken(t))
	for _, tail := range []string{
		"/..", "/.", "/../", "/./", "/../plan-b/batches", "/batches/../../plan-b/batches", "//../plan-b", "/batches/.",
		"/%2e%2e/plan-b", "/%2E%2E/plan-b", "/.%2e/plan-b", "/%2e./plan-b", "/%2e/batches", // encoded
		"/%252e%252e/plan-b", "/%25252e%25252e/plan-b", "/..%252fplan-b", "/%%32e%%32e/plan-b", // encoded several times
		"/..%2fplan-b", "/%2e%2e%2fplan-b", "/batches%2F..%2F..%2Fplan-b", "/a%2f%2e%2e", // with an encoded slash
		`/..\plan-b`, "/..%5cplan-b", "/batches%5C..%5C..%5Cplan-b", "/%5c..", // with a backslash
		// with a parameter
		"/..;/plan-b", "/..;x=y/plan-b", "/..%3b/plan-b", "/%2e%2e%3bx/plan-b", "/.;/batches", "/a/..;",
		"/..%3f/plan-b", "/..%23/plan-b", // with a query or a fragment
		// with characters that servers trim
		"/..%20/plan-b", "/.%20./plan-b", "/..%00/plan-b", "/.%09./plan-b", "/..%0d%0a/plan-b", "/%7f..",
		"/%c0%ae%c0%ae/plan-b", "/%ef%bc%8e%ef%bc%8e/plan-b", "/%e2%80%a5/plan-b", "/..%ef%bc%8fplan-b",
		"/%u002e%u002e/plan-b",
		"/.../plan-b", "/%2e%2e%2e/plan-b",
	} {
		for _, method := range []string{"GET", "POST", "DELETE", "BREW"} {
			a := h.raw(method + " /xms/v1/" + planA + tail + " HTTP/1.1\nHost: 127.0.0.1\n" +
				"Authorization: Bearer app-token\nContent-Length: 0\n\n")
			if strings.Contains(tail, "%%") || strings.Contains(tail, "%u") {
				require.Equal(t, http.StatusBadRequest, a.StatusCode, "net/http refuses the invalid escape: %s", tail)
				continue
			}
			require.Contains(t, h.problem(a, http.StatusNotFound), "Sinch was not called", tail)
		}
	}
	require.Empty(t, h.upstream.newCalls())
}

// TestConnectionRemovesNoEndToEndHeader names headers in Connection that Sinch needs.
func TestConnectionRemovesNoEndToEndHeader(t *testing.T) {
	for name, c := range map[string]struct {
		change               func(*Config)
		authorization, given string
	}{
		"the caller's token": {nil, callerToken, callerToken},
		"the plan's token":   {ownToken(t), "Bearer app-token", "Bearer token-of-the-plan"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, c.change)
			for _, connection := range []string{
				"Connection: close, Authorization, Content-Type, Content-Encoding, User-Agent, Accept, " +
					"Accept-Encoding, X-Hop",
				"Connection: close\nConnection: aUTHORIZATION,content-type , content-encoding\n" +
					"connection: user-agent,accept,accept-encoding,x-hop",
				"Connection: close, Authorization, Content-Type, Content-Encoding, User-Agent, Accept, " +
					"Accept-Encoding, X-Hop, Connection",
				"Proxy-Connection: Authorization\nConnection: close, X-Hop\nKeep-Alive: Authorization",
			} {
				h.raw("POST /xms/v1/" + planA + "/batches HTTP/1.1\nHost: localhost\nAuthorization: " +
					c.authorization +
					"\nContent-Type: application/json\nContent-Encoding: gzip\nUser-Agent: app\n" +
					"Accept: application/json\nAccept-Encoding: gzip\nX-Hop: mine\n" + connection +
					"\nContent-Length: 2\n\n{}")
				require.Equal(t, http.Header{
					"Authorization": {c.given}, "Content-Type": {"application/json"}, "Content-Encoding": {"gzip"},
					"User-Agent": {"app"},
					"Accept":     {"application/json"}, "Accept-Encoding": {"gzip"}, "Content-Length": {"2"},
				}, h.upstream.only(t).header, connection)
			}
		})
	}
}

// TestNoHeaderLeavesThePlan sends headers that some servers obey in place of the path or the method.
func TestNoHeaderLeavesThePlan(t *testing.T) {
	h := newFixture(t, ownToken(t))
	h.raw("POST /xms/v1/" + planA + "/batches HTTP/1.1\nHost: localhost\nAuthorization: Bearer app-token\n" +
		"X-Original-URL: /xms/v1/plan-b/batches\nX-Rewrite-URL: /xms/v1/plan-b\nx-original-uri: /\n" +
		"X-Forwarded-Prefix: /..\nX-Forwarded-Uri: /\nX-Forwarded-Path: /\nX-HTTP-Method-Override: TRACE\n" +
		"X-HTTP-Method: TRACE\nX-Method-Override: TRACE\nX-Forwarded-Host: evil\nTransfer-Encoding: chunked\n" +
		"Trailer: Authorization, X-Original-Url\n" +
		"Connection: close\n\n" +
		"2\n{}\n0\nAuthorization: Bearer other\nX-Original-Url: /\n\n")
	got := h.upstream.only(t)
	require.Equal(t, http.Header{"Authorization": {"Bearer token-of-the-plan"}}, got.header)
	require.Equal(t, "{}", string(got.body))
}

// TestABaseURLThatEndsInASlash sends paths that begin with several slashes.
func TestABaseURLThatEndsInASlash(t *testing.T) {
	h := newFixture(t, nil)
	private := httptest.NewServer(h.gateway.Before(http.NotFoundHandler()))
	t.Cleanup(private.Close)
	for _, base := range []string{h.server.URL + "/", h.server.URL + "//", private.URL + "/"} {
		r := h.request(http.MethodGet, "/batches?page=1", nil)
		at := strings.TrimPrefix(r.URL.String(), h.server.URL)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+at, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, h.do(r).StatusCode)
		require.Equal(t, at, h.upstream.only(t).uri)
	}
}

// TestTraceAndConnectDoNotPass uses an upstream that answers with the headers it received.
func TestTraceAndConnectDoNotPass(t *testing.T) {
	h := newFixture(t, ownToken(t))
	private := httptest.NewServer(h.gateway.Before(http.NotFoundHandler()))
	t.Cleanup(private.Close)
	h.upstream.does(func(w http.ResponseWriter, r *http.Request) {
		h.upstream.record(r)
		_ = r.Header.Write(w)
	})
	for _, method := range []string{"TRACE", "CONNECT", "TRACK", "trace", "Trace", "connect"} {
		for _, path := range []string{
			"/xms/v1/" + planA + "/batches", "/xms/v1/" + planA, "/healthz",
			"/", "sinch.example.com:443",
		} {
			if !strings.HasPrefix(path, "/") && method != "CONNECT" {
				continue
			}
			request := fmt.Sprintf("%s %s HTTP/1.1\nHost: localhost\nAuthorization: Bearer app-token\n\n", method, path)
			for _, a := range []handlerstest.Reply{h.raw(request), rawTo(t, private.Listener.Addr().String(), request)} {
				h.problem(a, http.StatusMethodNotAllowed)
				require.NotEmpty(t, a.Header.Get("Allow"))
				require.NotContains(t, string(a.Content), "token-of-the-plan")
			}
		}
	}
	require.Empty(t, h.upstream.newCalls())
}
