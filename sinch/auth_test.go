package sinch

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// project returns a client of a project whose token endpoint is /oauth2/token of the upstream.
func (u *upstream) project(t *testing.T) *Client {
	t.Helper()
	return u.client(t, func(c *Config) {
		c.Token = ""
		c.Project = Project{ID: "project-1", KeyID: "key-1", KeySecret: "hush", AuthURL: u.URL + "/oauth2/token"}
	})
}

const tokenPath = "/oauth2/token"

// issueTokens answers the token endpoint with token-1, token-2 and so on, and all other requests with calls.
func issueTokens(calls http.HandlerFunc) http.HandlerFunc {
	var issued atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == tokenPath {
			n := strconv.FormatInt(issued.Add(1), 10)
			respond(http.StatusOK, `{"access_token":"token-`+n+`","expires_in":3599,"token_type":"bearer"}`)(w, r)
			return
		}
		calls(w, r)
	}
}

func (u *upstream) paths() []string {
	var p []string
	for _, r := range u.requests() {
		p = append(p, r.URI+" "+r.Header.Get("Authorization"))
	}
	return p
}

const (
	projectFeedback = "/xms/v1/project-1/batches/" + testBatch + "/delivery_feedback"
	basicKey1       = "Basic a2V5LTE6aHVzaA==" // key-1:hush
)

func TestAProjectsTokenIsFetchedOnce(t *testing.T) {
	u := newUpstream(t, issueTokens(respond(http.StatusAccepted, "")))
	c := u.project(t)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			assert.NoError(t, c.Feedback(t.Context(), testBatch, []string{"1"}))
		})
	}
	callers.Wait()
	var fetched int
	for _, r := range u.requests() {
		if r.URI == tokenPath {
			fetched++
			require.Equal(t, "grant_type=client_credentials", r.Body)
			require.Equal(t, basicKey1, r.Header.Get("Authorization"))
			continue
		}
		require.Equal(t, projectFeedback, r.URI)
		require.Equal(t, "Bearer token-1", r.Header.Get("Authorization"))
	}
	require.Equal(t, 1, fetched)
}

func TestAnExpiredProjectTokenIsRenewedOnce(t *testing.T) {
	expired := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token", error_description="Token Expired"`)
		w.WriteHeader(http.StatusUnauthorized)
	}
	u := newUpstream(t, issueTokens(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer token-1" {
			expired(w, r)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	require.NoError(t, u.project(t).Feedback(t.Context(), testBatch, []string{"447700900118"}))
	require.Equal(t, []string{
		tokenPath + " " + basicKey1, projectFeedback + " Bearer token-1",
		tokenPath + " " + basicKey1, projectFeedback + " Bearer token-2",
	}, u.paths())
	require.Equal(t, u.requests()[1].Body, u.requests()[3].Body)

	u = newUpstream(t, issueTokens(expired))
	err := u.project(t).Feedback(t.Context(), testBatch, []string{"1"})
	e, ok := errors.AsType[*Error](err)
	require.True(t, ok, err)
	require.Equal(t, http.StatusUnauthorized, e.HTTPStatus)
	require.Len(t, u.requests(), 4, "a second refusal is not retried")
}

func TestOtherRefusalsAreNotRepeated(t *testing.T) {
	for challenge, status := range map[string]int{
		`Bearer error="invalid_token"`:       http.StatusUnauthorized,
		`Bearer error_description="expired"`: http.StatusForbidden,
		"":                                   http.StatusUnauthorized,
	} {
		u := newUpstream(t, issueTokens(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", challenge)
			w.WriteHeader(status)
		}))
		require.Error(t, u.project(t).Feedback(t.Context(), testBatch, []string{"1"}))
		require.Len(t, u.requests(), 2)
	}

	// A plan's token cannot be renewed.
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer error_description="expired"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	require.Error(t, u.client(t).Feedback(t.Context(), testBatch, []string{"1"}))
	require.Len(t, u.requests(), 1)
}

func TestARefusedProjectKeyIsATokenError(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3")
		respond(http.StatusBadRequest, `{"error":"invalid_client","error_description":"hush is wrong"}`)(w, nil)
	})
	err := u.project(t).Feedback(t.Context(), testBatch, []string{"1"})
	e, ok := errors.AsType[*Error](err)
	require.True(t, ok, err)
	require.Equal(t, FetchToken, e.Operation)
	require.Equal(t, http.StatusBadRequest, e.HTTPStatus)
	require.Equal(t, "invalid_client", e.Code)
	require.Equal(t, "*** is wrong", e.Text)
	require.NotContains(t, e.Excerpt, "hush")
	require.NotZero(t, e.RetryAfter)
	require.Len(t, u.requests(), 1, "no call is made without a token")
}

func TestATokenFetchThatFails(t *testing.T) {
	u := newUpstream(t, respond(http.StatusOK, `{}`))
	require.ErrorContains(t, u.project(t).Feedback(t.Context(), testBatch, []string{"1"}), "sinch: fetch token: ")

	release := make(chan struct{})
	u = newUpstream(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	c := u.project(t)
	c.timeout = 1
	err := c.Feedback(t.Context(), testBatch, []string{"1"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.True(t, strings.HasPrefix(err.Error(), "sinch: fetch token: "), err)
	require.NotContains(t, err.Error(), u.URL)
}

func TestACallerCanStopWaitingForTheToken(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	u := newUpstream(t, issueTokens(respond(http.StatusAccepted, "")))
	inner := u.Config.Handler
	u.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == tokenPath {
			close(entered)
			<-release
		}
		inner.ServeHTTP(w, r)
	})
	c := u.project(t)
	first := make(chan error, 1)
	go func() { first <- c.Feedback(t.Context(), testBatch, []string{"1"}) }()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.Feedback(ctx, testBatch, []string{"1"}), context.Canceled)
	close(release)
	require.NoError(t, <-first)
}

// A caller that makes its own request to Sinch uses the client's credentials.
func TestAuthorizeTheCallersRequest(t *testing.T) {
	u := newUpstream(t, issueTokens(respond(http.StatusAccepted, "")))
	c := u.project(t)
	own := func() *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, u.URL, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer somebody-else")
		require.NoError(t, c.Authorize(t.Context(), r))
		return r
	}
	first := own()
	require.Equal(t, []string{"Bearer token-1"}, first.Header.Values("Authorization"))
	require.Equal(t, "Bearer token-1", own().Header.Get("Authorization"), "the token is fetched once")

	answer := &http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{}}
	c.Refused(t.Context(), first, answer)
	require.Equal(t, "Bearer token-1", own().Header.Get("Authorization"), "the refusal does not mention expiry")
	answer.Header.Set("WWW-Authenticate", `Bearer error_description="expired"`)
	c.Refused(t.Context(), first, answer)
	require.Equal(t, "Bearer token-2", own().Header.Get("Authorization"))
	c.Refused(t.Context(), first, answer)
	require.Equal(t, "Bearer token-2", own().Header.Get("Authorization"), "the newer token is kept")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.URL, nil)
	require.NoError(t, err)
	require.ErrorIs(t, u.project(t).Authorize(ctx, r), context.Canceled)
}

func TestEndpointNeedsNoCredentials(t *testing.T) {
	endpoint, err := Config{Plan: "p/1", Region: "eu"}.Endpoint()
	require.NoError(t, err)
	require.Equal(t, "https://eu.sms.api.sinch.com/xms/v1/p%2F1", endpoint)
	_, err = Config{Plan: "p"}.Endpoint()
	require.Error(t, err)
}
