package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/access"
	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/sinch"
)

// ownToken configures a Client with the plan's token, and credentials for the gateway's callers.
func ownToken(t *testing.T) func(*Config) {
	return func(c *Config) {
		client, err := sinch.New(sinch.Config{
			Plan: planA, BaseURL: "http://127.0.0.1:1",
			Token: "token-of-the-plan",
		})
		require.NoError(t, err)
		c.Plans[0].Client = client
		c.Basic, c.Bearer = []access.Basic{{User: "app", Password: "hush"}}, []string{"app-token"}
	}
}

func TestSinchChecksTheCallersToken(t *testing.T) {
	h := newFixture(t, func(c *Config) { c.Bearer = []string{"private"} })
	h.upstream.answers(http.StatusUnauthorized, "", "Www-Authenticate",
		`Bearer error="invalid_token", error_description="expired"`)
	for _, authorization := range []string{callerToken, "Bearer wrong", "Basic eDp5"} {
		r := h.request(http.MethodGet, "/batches", nil)
		r.Header.Set("Authorization", authorization)
		a := h.do(r)
		require.Equal(t, http.StatusUnauthorized, a.StatusCode)
		require.Equal(t, []string{`Bearer error="invalid_token", error_description="expired"`},
			a.Header.Values("WWW-Authenticate"))
		require.Equal(t, authorization, h.upstream.only(t).header.Get("Authorization"))
	}
	r := h.request(http.MethodGet, "/batches", nil)
	r.Header.Del("Authorization")
	require.Equal(t, http.StatusUnauthorized, h.do(r).StatusCode)
	require.NotContains(t, h.upstream.only(t).header, "Authorization")
}

func TestAPlanWithItsOwnTokenRequiresACredential(t *testing.T) {
	h := newFixture(t, ownToken(t))
	for authorization, open := range map[string]bool{
		"Bearer app-token":                   true,
		handlerstest.BasicHeader("app:hush"): true,
		"":                                   false,
		"Bearer wrong":                       false,
		callerToken:                          false,
		handlerstest.BasicHeader("app:no"):   false,
		"Bearer token-of-the-plan":           false,
	} {
		r := h.request(http.MethodPost, "/batches", strings.NewReader("{}"))
		r.Header.Set("Authorization", authorization)
		a := h.do(r)
		if open {
			require.Equal(t, http.StatusOK, a.StatusCode)
			got := h.upstream.only(t)
			require.Equal(t, []string{"Bearer token-of-the-plan"}, got.header.Values("Authorization"))
			require.NotContains(t, fmt.Sprint(got.header), authorization)
			continue
		}
		require.Contains(t, h.problem(a, http.StatusUnauthorized), "one of private.credentials")
		require.Equal(t, []string{`Basic realm="dlrloop", charset="UTF-8"`, `Bearer realm="dlrloop"`},
			a.Header.Values("WWW-Authenticate"))
		require.Empty(t, h.upstream.newCalls(), "Sinch must not be called")
	}
	require.NotContains(t, h.log.String(), "token-of")
	require.NotContains(t, h.log.String(), "app-token")
}

func TestAPlanWithItsOwnTokenRequiresConfiguredCredentials(t *testing.T) {
	c := Config{Plans: []Plan{{ID: planA, Endpoint: "http://127.0.0.1:1/xms/v1/plan-a"}}}
	ownToken(t)(&c)
	c.Basic, c.Bearer = nil, nil
	m := metrics.New(prometheus.NewRegistry(), metrics.Config{})
	_, err := New(c, nil, m, handlerstest.Quiet())
	require.ErrorContains(t, err, "set private.credentials")

	c.Bearer = []string{""}
	_, err = New(c, nil, m, handlerstest.Quiet())
	require.ErrorContains(t, err, "private.credentials.tokens[0]")

	_, err = New(Config{Plans: []Plan{{ID: "p", Endpoint: "nowhere"}}}, nil, m, handlerstest.Quiet())
	require.ErrorContains(t, err, "must be a URL with a host")
}

// authServer issues a project's access tokens: oauth-1, oauth-2 and so on.
func authServer(t *testing.T) *httptest.Server {
	t.Helper()
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n++
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"oauth-%d","token_type":"bearer","expires_in":3599}`, n)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestAProjectsTokenIsFetchedAndRenewed(t *testing.T) {
	auth := authServer(t)
	h := newFixture(t, func(c *Config) {
		ownToken(t)(c)
		client, err := sinch.New(sinch.Config{
			BaseURL: "http://127.0.0.1:1", Project: sinch.Project{
				ID: "project", KeyID: "key", KeySecret: "secret", AuthURL: auth.URL,
			},
		})
		require.NoError(t, err)
		c.Plans[0].Client = client
	})
	call := func() (int, string) {
		r := h.request(http.MethodGet, "/batches", nil)
		r.Header.Set("Authorization", "Bearer app-token")
		return h.do(r).StatusCode, h.upstream.only(t).header.Get("Authorization")
	}
	status, token := call()
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "Bearer oauth-1", token)

	h.upstream.answers(http.StatusUnauthorized, "", "Www-Authenticate", `Bearer error_description="token expired"`)
	status, token = call()
	require.Equal(t, http.StatusUnauthorized, status, "this call is not repeated, the next one has a new token")
	require.Equal(t, "Bearer oauth-1", token)
	_, token = call()
	require.Equal(t, "Bearer oauth-2", token)
}

func TestAProjectsTokenIsUnavailable(t *testing.T) {
	auth := authServer(t)
	auth.Close()
	h := newFixture(t, func(c *Config) {
		ownToken(t)(c)
		client, err := sinch.New(sinch.Config{
			BaseURL: "http://127.0.0.1:1", Project: sinch.Project{
				ID: "project", KeyID: "key", KeySecret: "secret", AuthURL: auth.URL,
			},
		})
		require.NoError(t, err)
		c.Plans[0].Client = client
	})
	for _, tail := range []string{"/batches", "/batches/B1/delivery_feedback"} {
		r := h.request(http.MethodPost, tail, strings.NewReader(`{"recipients":["15551231234"]}`))
		r.Header.Set("Authorization", "Bearer app-token")
		h.problem(h.do(r), http.StatusBadGateway)
	}
	require.Empty(t, h.upstream.newCalls())
	require.NotContains(t, h.log.String(), "secret")
}

func TestRequestsOfOtherSitesAreRefused(t *testing.T) {
	h := newFixture(t, nil)
	for name, header := range map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"} {
		r := h.request(http.MethodPost, "/batches", strings.NewReader("{}"))
		r.Header.Set(name, header)
		require.Equal(t, http.StatusForbidden, h.do(r).StatusCode)
	}
	r := h.request(http.MethodGet, "/batches", nil)
	r.Host = "evil.example.com"
	require.Equal(t, http.StatusMisdirectedRequest, h.do(r).StatusCode)
	require.Empty(t, h.upstream.newCalls())
}

func TestAGatewayForOtherMachinesAcceptsAnyHost(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"everywhere":       func(c *Config) { c.Listen = ":8082" },
		"with credentials": func(c *Config) { c.Bearer = []string{"t"} },
	} {
		h := newFixture(t, change)
		r := h.request(http.MethodGet, "/batches", nil)
		r.Host = "dlrloop.internal:8082"
		require.Equal(t, http.StatusOK, h.do(r).StatusCode, name)
	}
}

// TestTheGatewayOnThePrivateListener requires that all paths but the gateway's reach the next handler.
func TestTheGatewayOnThePrivateListener(t *testing.T) {
	h := newFixture(t, func(c *Config) { c.Bearer = []string{"private"} })
	s := httptest.NewServer(h.gateway.Before(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	})))
	t.Cleanup(s.Close)
	call := func(method, path string) int {
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", callerToken)
		a, err := http.DefaultTransport.RoundTrip(r)
		require.NoError(t, err)
		_, _ = io.Copy(io.Discard, a.Body)
		require.NoError(t, a.Body.Close())
		return a.StatusCode
	}
	require.Equal(t, http.StatusOK, call(http.MethodPost, "/xms/v1/"+planA+"/batches"))
	require.Equal(t, http.StatusOK, call("BREW", "/xms/v1/"+planA+"/batches"))
	for _, path := range []string{"/", "/metrics", "/api/v1/stats", "/xms", "/xms/v1", "/xms/v2/" + planA} {
		require.Equal(t, http.StatusTeapot, call(http.MethodGet, path), path)
	}
}

func TestGatewayConfigHidesItsSecrets(t *testing.T) {
	c := Config{Bearer: []string{"hush"}}
	encoded, err := json.Marshal(c)
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", c, c, c, encoded), "hush")
}
