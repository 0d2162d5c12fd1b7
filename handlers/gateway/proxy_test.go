package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
)

// raw sends the bytes of a request, with each LF replaced by CRLF, and returns the answer.
func (h *fixture) raw(request string) handlerstest.Reply {
	h.t.Helper()
	return rawTo(h.t, h.server.Listener.Addr().String(), request)
}

func rawTo(t *testing.T, address, request string) handlerstest.Reply {
	t.Helper()
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer c.Close()
	_, err = io.WriteString(c, strings.ReplaceAll(request, "\n", "\r\n"))
	require.NoError(t, err)
	a, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(a.Body)
	require.NoError(t, err)
	return handlerstest.Reply{Response: a, Content: body}
}

func TestPathsAndMethodsPassUnchanged(t *testing.T) {
	h := newFixture(t, nil)
	for name, c := range map[string]struct{ method, tail string }{
		"a query as Node writes it":          {"GET", "/batches?from=+1201,+1202&start_date=2024-06-06T09:22:14.304Z"},
		"a query as .NET writes it":          {"GET", "/batches?from=%2B1201%2C%2b1202&page=0"},
		"an invalid query":                   {"GET", "/batches?a;b=%zz&&=&c"},
		"an empty query":                     {"GET", "/batches?"},
		"a literal + in the path":            {"GET", "/batches/B1/delivery_report/+12017777777"},
		"an escaped + in the path":           {"GET", "/batches/B1/delivery_report/%2B12017777777"},
		"an escaped slash":                   {"GET", "/batches/a%2Fb%20c"},
		"slashes side by side and at an end": {"GET", "/groups//x/"},
		"dots within a segment":              {"GET", "/batches/.a/b../c.d/...e"},
		"an unknown path":                    {"GET", "/tomorrow/:x;y=1,2/(a)'!*$&=@"},
		"an unknown method":                  {"BREW", "/batches/B1"},
		"the plan itself":                    {"OPTIONS", ""},
		"HEAD":                               {"HEAD", "/batches"},
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			h.raw(c.method + " /xms/v1/" + planA + c.tail + " HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n")
			got := h.upstream.only(t)
			require.Equal(t, c.method, got.method)
			require.Equal(t, "/xms/v1/"+planA+c.tail, got.uri)
		})
	}
}

func TestHeadersAndBodyPassUnchanged(t *testing.T) {
	h := newFixture(t, nil)
	const body = "{ \"to\" : [\"+1201\"],\t\"x\":\"\\u00e9\" } "
	h.raw(fmt.Sprintf(`POST /xms/v1/%s/batches/dry_run HTTP/1.1
Host: dlrloop.localhost:8081
Authorization: %s
Content-Type: application/json; charset=utf-8
Content-Length: %d
X-Own: one
X-Own: two
X-Forwarded-For: 10.1.2.3
Forwarded: for=10.1.2.3
Connection: close, X-Hop
X-Hop: mine
Keep-Alive: timeout=5
Proxy-Authorization: Basic x

`, planA, callerToken, len(body)) + body)
	got := h.upstream.only(t)
	require.Equal(t, body, string(got.body))
	require.EqualValues(t, len(body), got.length)
	require.Equal(t, h.upstream.Listener.Addr().String(), got.host)
	require.Equal(t, http.Header{
		"Authorization":  {callerToken},
		"Content-Type":   {"application/json; charset=utf-8"},
		"Content-Length": {fmt.Sprint(len(body))},
		"X-Own":          {"one", "two"},
	}, got.header, "no User-Agent, no Accept-Encoding, no X-Forwarded-For, no hop-by-hop header")
}

func TestAnAnswerPassesUnchanged(t *testing.T) {
	h := newFixture(t, nil)
	for status, body := range map[int]string{
		200: "{ \"a\":1 }\n", 201: "", 202: "", 204: "", 301: "moved", 304: "", 400: `{"code":"x","text":"y"}`,
		401: "<html>", 404: "",
		429: "slow", 500: "", 503: "later", 299: "odd", 599: "odd",
	} {
		h.upstream.answers(status, body, "Location", "http://127.0.0.1:1/", "X-Custom", "kept",
			"Retry-After", "7", "Www-Authenticate", `Bearer error="expired"`)
		for _, tail := range []string{"/batches", "/tomorrow"} {
			a := h.call(http.MethodGet, tail, "")
			require.Equal(t, status, a.StatusCode)
			require.Equal(t, body, string(a.Content))
			require.Equal(t, "kept", a.Header.Get("X-Custom"))
			require.Equal(t, "7", a.Header.Get("Retry-After"))
			require.Equal(t, "http://127.0.0.1:1/", a.Header.Get("Location"), "redirects are not followed")
			require.Empty(t, a.Header.Values("X-Content-Type-Options"))
			require.Empty(t, a.Header.Values("X-Request-Id"))
		}
		h.upstream.newCalls()
	}
	h.upstream.does(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, "<html>")
	})
	require.NotContains(t, h.call(http.MethodGet, "/batches", "").Header, "Content-Type", "no type is guessed")
}

func TestAnInformationalAnswerPasses(t *testing.T) {
	h := newFixture(t, nil)
	h.upstream.does(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a>")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	})
	a := h.raw("GET /xms/v1/" + planA + "/batches HTTP/1.1\nHost: localhost\n\n")
	require.Equal(t, http.StatusEarlyHints, a.StatusCode)
}

func TestAChangeOfProtocolPasses(t *testing.T) {
	h := newFixture(t, nil)
	h.upstream.does(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if assert.NoError(t, err) {
			_, _ = io.WriteString(c,
				"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi")
			assert.NoError(t, c.Close())
		}
	})
	a := h.raw("GET /xms/v1/" + planA +
		"/socket HTTP/1.1\nHost: localhost\nConnection: Upgrade\nUpgrade: echo\n\n")
	require.Equal(t, http.StatusSwitchingProtocols, a.StatusCode)
}

// TestBothWaysAreStreams makes each side wait for the other in the middle of a body.
func TestBothWaysAreStreams(t *testing.T) {
	h := newFixture(t, nil)
	half, goOn := make(chan string, 1), make(chan struct{})
	h.upstream.does(func(w http.ResponseWriter, r *http.Request) {
		first := make([]byte, 4)
		_, _ = io.ReadFull(r.Body, first)
		half <- string(first)
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "12345")
		_ = http.NewResponseController(w).Flush()
		<-goOn
		_, _ = io.WriteString(w, "67890")
	})
	reader, writer := io.Pipe()
	r := h.request(http.MethodPost, "/groups", reader)
	r.ContentLength = 8
	answered := make(chan *http.Response, 1)
	go func() {
		a, err := http.DefaultTransport.RoundTrip(r)
		assert.NoError(t, err)
		answered <- a
	}()
	_, err := io.WriteString(writer, "half")
	require.NoError(t, err)
	require.Equal(t, "half", <-half, "Sinch gets the first half before the second is sent")
	_, err = io.WriteString(writer, "rest")
	require.NoError(t, err)
	require.NoError(t, writer.Close())

	a := <-answered
	defer a.Body.Close()
	first := make([]byte, 5)
	_, err = io.ReadFull(a.Body, first)
	require.NoError(t, err)
	require.Equal(t, "12345", string(first), "the caller gets the first half before the second is sent")
	close(goOn)
	rest, err := io.ReadAll(a.Body)
	require.NoError(t, err)
	require.Equal(t, "67890", string(rest))
}

func TestAPlanThatIsNotConfigured(t *testing.T) {
	h := newFixture(t, nil)
	for _, path := range []string{
		"/xms/v1/plan-b/batches", "/xms/v1/", "/xms/v1//batches",
		"/xms/v1/plan-a%2Fbatches",
	} {
		a := h.raw("GET " + path + " HTTP/1.1\nHost: localhost\n\n")
		require.Contains(t, h.problem(a, http.StatusNotFound), "is not configured here", path)
	}
	require.Empty(t, h.upstream.newCalls())
	require.EqualValues(t, 4, h.counted("gateway_requests_total", "outcome", "refused", "operation", "list")+
		h.counted("gateway_requests_total", "outcome", "refused", "operation", "other"))
}

func TestAProjectIDSelectsItsOnlyPlan(t *testing.T) {
	h := newFixture(t, func(c *Config) {
		endpoint := strings.TrimSuffix(c.Plans[0].Endpoint, planA)
		c.Plans[0].Project, c.Plans[0].Endpoint = "project-1", endpoint+"project-1"
		c.Plans = append(c.Plans,
			Plan{ID: "plan-b", Project: "project-2", Endpoint: endpoint + "project-2"},
			Plan{ID: "plan-c", Project: "project-2", Endpoint: endpoint + "project-2"})
	})
	for _, id := range []string{planA, "project-1"} {
		h.raw("GET /xms/v1/" + id + "/batches HTTP/1.1\nHost: localhost\n\n")
		require.Equal(t, "/xms/v1/project-1/batches", h.upstream.only(t).uri)
	}
	a := h.raw("GET /xms/v1/project-2/batches HTTP/1.1\nHost: localhost\n\n")
	require.Equal(t, http.StatusNotFound, a.StatusCode, "two plans belong to the project")
}

func TestTheGatewaysOwnListenerServesNothingElse(t *testing.T) {
	h := newFixture(t, nil)
	get := func(path string) handlerstest.Reply { return h.raw("GET " + path + " HTTP/1.1\nHost: localhost\n\n") }
	health := get("/healthz")
	require.Equal(t, http.StatusOK, health.StatusCode)
	require.Equal(t, "ok\n", string(health.Content))
	for _, path := range []string{"/", "/metrics", "/api/v1/stats", "/readyz", "/xms", "/xms/v1", "/webhooks/plan-a"} {
		require.Contains(t, h.problem(get(path), http.StatusNotFound), "this address", path)
	}
	require.Equal(t, http.StatusNotFound,
		h.raw("POST /healthz HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n").StatusCode)
	require.Empty(t, h.upstream.newCalls())
}
