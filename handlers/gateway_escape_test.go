package handlers

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNoPathLeavesThePlan sends, with the plan's token, paths that some server resolves to one of another plan.
func TestNoPathLeavesThePlan(t *testing.T) {
	h := newGatewayFixture(t, ownToken(t))
	for _, tail := range []string{
		"/..", "/.", "/../", "/./", "/../plan-b/batches", "/batches/../../plan-b/batches", "//../plan-b", "/batches/.",
		"/%2e%2e/plan-b", "/%2E%2E/plan-b", "/.%2e/plan-b", "/%2e./plan-b", "/%2e/batches", // encoded
		"/%252e%252e/plan-b", "/%25252e%25252e/plan-b", "/..%252fplan-b", "/%%32e%%32e/plan-b", // encoded twice, or more often
		"/..%2fplan-b", "/%2e%2e%2fplan-b", "/batches%2F..%2F..%2Fplan-b", "/a%2f%2e%2e", // with an encoded slash
		`/..\plan-b`, "/..%5cplan-b", "/batches%5C..%5C..%5Cplan-b", "/%5c..", // with a backslash
		"/..;/plan-b", "/..;x=y/plan-b", "/..%3b/plan-b", "/%2e%2e%3bx/plan-b", "/.;/batches", "/a/..;", // with a parameter
		"/..%3f/plan-b", "/..%23/plan-b", // with a query or a fragment
		"/..%20/plan-b", "/.%20./plan-b", "/..%00/plan-b", "/.%09./plan-b", "/..%0d%0a/plan-b", "/%7f..", // with what is trimmed
		"/%c0%ae%c0%ae/plan-b", "/%ef%bc%8e%ef%bc%8e/plan-b", "/%e2%80%a5/plan-b", "/..%ef%bc%8fplan-b", "/%u002e%u002e/plan-b",
		"/.../plan-b", "/%2e%2e%2e/plan-b",
	} {
		for _, method := range []string{"GET", "POST", "DELETE", "BREW"} {
			a := h.raw(method + " /xms/v1/" + gatewayPlanA + tail + " HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer app-token\nContent-Length: 0\n\n")
			if strings.Contains(tail, "%%") || strings.Contains(tail, "%u") {
				require.Equal(t, http.StatusBadRequest, a.StatusCode, "net/http reads no such escape: %s", tail)
				continue
			}
			require.Contains(t, h.problem(a, http.StatusNotFound), "Sinch was not called", tail)
		}
	}
	require.Empty(t, h.upstream.taken())
}

// TestConnectionRemovesNoMeaning has the caller name headers in Connection that Sinch needs.
func TestConnectionRemovesNoMeaning(t *testing.T) {
	for name, c := range map[string]struct {
		change               func(*GatewayConfig)
		authorization, given string
	}{
		"the caller's token": {nil, callerToken, callerToken},
		"the plan's token":   {ownToken(t), "Bearer app-token", "Bearer token-of-the-plan"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newGatewayFixture(t, c.change)
			for _, connection := range []string{
				"Connection: close, Authorization, Content-Type, Content-Encoding, User-Agent, Accept, Accept-Encoding, X-Hop",
				"Connection: close\nConnection: aUTHORIZATION,content-type , content-encoding\nconnection: user-agent,accept,accept-encoding,x-hop",
				"Connection: close, Authorization, Content-Type, Content-Encoding, User-Agent, Accept, Accept-Encoding, X-Hop, Connection",
				"Proxy-Connection: Authorization\nConnection: close, X-Hop\nKeep-Alive: Authorization",
			} {
				h.raw("POST /xms/v1/" + gatewayPlanA + "/batches HTTP/1.1\nHost: localhost\nAuthorization: " + c.authorization +
					"\nContent-Type: application/json\nContent-Encoding: gzip\nUser-Agent: app\nAccept: application/json\n" +
					"Accept-Encoding: gzip\nX-Hop: mine\n" + connection + "\nContent-Length: 2\n\n{}")
				require.Equal(t, http.Header{
					"Authorization": {c.given}, "Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}, "User-Agent": {"app"},
					"Accept": {"application/json"}, "Accept-Encoding": {"gzip"}, "Content-Length": {"2"},
				}, h.upstream.only(t).header, connection)
			}
		})
	}
}

// TestNoHeaderLeavesThePlan sends the headers that some servers obey in place of the path or the method.
func TestNoHeaderLeavesThePlan(t *testing.T) {
	h := newGatewayFixture(t, ownToken(t))
	h.raw("POST /xms/v1/" + gatewayPlanA + "/batches HTTP/1.1\nHost: localhost\nAuthorization: Bearer app-token\n" +
		"X-Original-URL: /xms/v1/plan-b/batches\nX-Rewrite-URL: /xms/v1/plan-b\nx-original-uri: /\nX-Forwarded-Prefix: /..\n" +
		"X-Forwarded-Uri: /\nX-Forwarded-Path: /\nX-HTTP-Method-Override: TRACE\nX-HTTP-Method: TRACE\nX-Method-Override: TRACE\n" +
		"X-Forwarded-Host: evil\nTransfer-Encoding: chunked\nTrailer: Authorization, X-Original-Url\nConnection: close\n\n" +
		"2\n{}\n0\nAuthorization: Bearer other\nX-Original-Url: /\n\n")
	got := h.upstream.only(t)
	require.Equal(t, http.Header{"Authorization": {"Bearer token-of-the-plan"}}, got.header)
	require.Equal(t, "{}", string(got.body))
}

// TestABaseURLThatEndsInASlash is one slash too many at the beginning of each path.
func TestABaseURLThatEndsInASlash(t *testing.T) {
	h := newGatewayFixture(t, nil)
	private := servePrivate(t, PrivateConfig{Gateway: h.gateway}, h.store, quiet())
	for _, base := range []string{h.server.URL + "/", h.server.URL + "//", private.URL + "/"} {
		r := h.request(http.MethodGet, "/batches?page=1", nil)
		at := strings.TrimPrefix(r.URL.String(), h.server.URL)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+at, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, h.do(r).StatusCode)
		require.Equal(t, at, h.upstream.only(t).uri)
	}
}

// TestTraceAndConnectDoNotPass has an upstream that shows what it gets.
func TestTraceAndConnectDoNotPass(t *testing.T) {
	h := newGatewayFixture(t, ownToken(t))
	private := servePrivate(t, PrivateConfig{Gateway: h.gateway}, h.store, quiet())
	h.upstream.does(func(w http.ResponseWriter, r *http.Request) {
		h.upstream.record(r)
		_ = r.Header.Write(w)
	})
	for _, method := range []string{"TRACE", "CONNECT", "TRACK", "trace", "Trace", "connect"} {
		for _, path := range []string{"/xms/v1/" + gatewayPlanA + "/batches", "/xms/v1/" + gatewayPlanA, "/healthz", "/", "sinch.example.com:443"} {
			if !strings.HasPrefix(path, "/") && method != "CONNECT" {
				continue
			}
			request := fmt.Sprintf("%s %s HTTP/1.1\nHost: localhost\nAuthorization: Bearer app-token\n\n", method, path)
			for _, a := range []reply{h.raw(request), rawTo(t, private.Listener.Addr().String(), request)} {
				h.problem(a, http.StatusMethodNotAllowed)
				require.NotEmpty(t, a.Header.Get("Allow"))
				require.NotContains(t, string(a.body), "token-of-the-plan")
			}
		}
	}
	require.Empty(t, h.upstream.taken())
}
