package sinch

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNewSelectsTheHost(t *testing.T) {
	project := Project{ID: "project/1", KeyID: "id", KeySecret: "secret"}
	for want, c := range map[string]Config{
		"https://us.sms.api.sinch.com/xms/v1/p":              {Region: "us", Plan: "p", Token: "t"},
		"https://eu.sms.api.sinch.com/xms/v1/p":              {Region: "eu", Plan: "p", Token: "t"},
		"https://au.sms.api.sinch.com/xms/v1/p":              {Region: "au", Plan: "p", Token: "t"},
		"https://br.sms.api.sinch.com/xms/v1/p":              {Region: "br", Plan: "p", Token: "t"},
		"https://ca.sms.api.sinch.com/xms/v1/p":              {Region: "ca", Plan: "p", Token: "t"},
		"https://zt.us.sms.api.sinch.com/xms/v1/project%2F1": {Region: "us", Plan: "p", Project: project},
		"https://zt.eu.sms.api.sinch.com/xms/v1/project%2F1": {Region: "eu", Plan: "p", Project: project},
		"http://127.0.0.1:9200/xms/v1/p":                     {BaseURL: "http://127.0.0.1:9200/", Plan: "p", Token: "t"},
		"https://proxy.example.com/sinch/xms/v1/p": {
			BaseURL: "https://proxy.example.com/sinch", Plan: "p", Token: "t",
		},
	} {
		client, err := New(c)
		require.NoError(t, err, want)
		assert.Equal(t, want, client.base)
	}
}

func TestNewReportsBadConfiguration(t *testing.T) {
	good := Config{Plan: "p", Region: "eu", Token: "t"}
	project := Project{ID: "i", KeyID: "k", KeySecret: "s"}
	for name, test := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no plan":        {func(c *Config) { c.Plan = "" }, "plan: an id must not be empty"},
		"a plan of dots": {func(c *Config) { c.Plan = ".." }, "plan: an id must not be"},
		"no host": {
			func(c *Config) { c.Region = "" }, `region: is not set; write the region`,
		},
		"unknown region": {func(c *Config) { c.Region = "de" }, `region: "de" is not a valid value; use us`},
		"project region": {
			func(c *Config) { c.Region, c.Token, c.Project = "br", "", project },
			`region: a project's access key works only in us and eu`,
		},
		"two hosts": {func(c *Config) { c.BaseURL = "http://h" }, "region and base_url: set only one"},
		"no scheme": {
			func(c *Config) { c.Region, c.BaseURL = "", "127.0.0.1:9200" }, "base_url: is not an http or https URL",
		},
		"other scheme": {
			func(c *Config) { c.Region, c.BaseURL = "", "ftp://h" }, "base_url: is not an http or https URL",
		},
		"user in URL":         {func(c *Config) { c.Region, c.BaseURL = "", "http://u:p@h" }, "base_url: has more"},
		"query in URL":        {func(c *Config) { c.Region, c.BaseURL = "", "http://h/?a=b" }, "base_url: has more"},
		"no token":            {func(c *Config) { c.Token = "" }, "token: it is empty"},
		"token with line end": {func(c *Config) { c.Token = "t\n" }, "token: contains a space"},
		"both credentials":    {func(c *Config) { c.Project = project }, "token and project: set only one"},
		"project without id": {
			func(c *Config) { c.Token, c.Project = "", Project{KeyID: "k", KeySecret: "s"} }, "project id: an id",
		},
		"project without key": {
			func(c *Config) { c.Token, c.Project = "", Project{ID: "i", KeyID: "k"} },
			"project: key_secret: no access key secret is set",
		},
		"bad auth URL": {func(c *Config) {
			c.Token, c.Project = "", project
			c.Project.AuthURL = "auth.example.com"
		}, "auth_url: is not an http or https URL"},
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			test.change(&c)
			_, err := New(c)
			require.ErrorContains(t, err, test.want)
		})
	}
}

func TestEveryCallCarriesTheHeaders(t *testing.T) {
	u := newUpstream(t, respond(http.StatusAccepted, ""))
	c := u.client(t, func(c *Config) { c.UserAgent = "dlrloop/1.2.3" })
	require.NoError(t, c.Feedback(t.Context(), testBatch, []string{"447700900118"}))
	_, _ = c.GetBatch(t.Context(), testBatch)
	for _, r := range u.requests() {
		assert.Equal(t, "Bearer "+testToken, r.Header.Get("Authorization"))
		assert.Equal(t, "application/json", r.Header.Get("Accept"))
		assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
		assert.Equal(t, "dlrloop/1.2.3", r.Header.Get("User-Agent"))
	}
	require.Len(t, u.requests(), 2)
}

// An id is opaque: whatever it contains, it is one segment of the path.
func TestIDsCannotChangeThePath(t *testing.T) {
	u := newUpstream(t, respond(http.StatusNotFound, ""))
	c := u.client(t)
	for id, segment := range map[string]string{
		"../x":               "..%2Fx",
		"a/b":                "a%2Fb",
		"a?type=full":        "a%3Ftype=full",
		"a#b":                "a%23b",
		"a%2Fb":              "a%252Fb",
		"a b\n":              "a%20b%0A",
		"3-mbA7z9wDKY76ag==": "3-mbA7z9wDKY76ag==",
		"ü":                  "%C3%BC",
	} {
		before := len(u.requests())
		_, err := c.GetBatch(t.Context(), id)
		require.Error(t, err)
		_, err = c.GetReport(t.Context(), id, ReportQuery{Kind: Full})
		require.Error(t, err)
		require.Error(t, c.Feedback(t.Context(), id, []string{"1"}))
		var uris []string
		for _, r := range u.requests()[before:] {
			uris = append(uris, r.URI)
		}
		base := "/xms/v1/" + testPlan + "/batches/" + segment
		require.Equal(t, []string{base, base + "/delivery_report?type=full", base + "/delivery_feedback"}, uris)
	}
}

func TestIDsThatCannotBeAPathSegmentAreRefused(t *testing.T) {
	u := newUpstream(t, respond(http.StatusOK, ""))
	c := u.client(t)
	for _, id := range []string{"", ".", ".."} {
		_, err := c.GetBatch(t.Context(), id)
		require.ErrorIs(t, err, ErrID)
		_, err = c.GetReport(t.Context(), id, ReportQuery{Kind: Full})
		require.ErrorIs(t, err, ErrID)
		_, err = c.GetRecipientReport(t.Context(), id, "1")
		require.ErrorIs(t, err, ErrID)
		_, err = c.GetRecipientReport(t.Context(), testBatch, id)
		require.ErrorIs(t, err, ErrID)
		require.ErrorIs(t, c.Feedback(t.Context(), id, []string{"1"}), ErrID)
	}
	require.Empty(t, u.requests())
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	err := u.client(t).Feedback(t.Context(), testBatch, []string{"1"})
	e, ok := errors.AsType[*Error](err)
	require.True(t, ok, err)
	require.Equal(t, http.StatusTemporaryRedirect, e.HTTPStatus)
	require.Len(t, u.requests(), 1)
}

func TestTimeoutsAreRecognisable(t *testing.T) {
	release := make(chan struct{})
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	_, err := u.client(t, withTimeout(1)).GetBatch(t.Context(), testBatch)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotContains(t, err.Error(), u.URL)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = u.client(t).GetBatch(ctx, testBatch)
	require.ErrorIs(t, err, context.Canceled)
}

func TestNetworkErrorsStayWrapped(t *testing.T) {
	u := newUpstream(t, respond(http.StatusOK, ""))
	c := u.client(t)
	u.Close()
	err := c.Feedback(t.Context(), testBatch, []string{"447700900118"})
	require.Error(t, err)
	_, isAnswer := errors.AsType[*Error](err)
	require.False(t, isAnswer)
	_, isURL := errors.AsType[*url.Error](err)
	require.False(t, isURL, "the error does not contain the URL")
	require.ErrorContains(t, err, "sinch: send delivery feedback: dial tcp")
}

// The upstream sends one byte more than the limit and then stalls: a client that reads on would block forever.
func TestAnswersAreReadWithinBounds(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(strings.Repeat(" ", 1<<20+1)))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	c := u.client(t, withTimeout(time.Hour), func(c *Config) { c.MaxAnswer = 1 << 20 })
	_, err := c.GetReport(t.Context(), testBatch, ReportQuery{Kind: Full})
	e, ok := errors.AsType[*Error](err)
	require.True(t, ok, err)
	require.Equal(t, http.StatusOK, e.HTTPStatus)
	require.Equal(t, "the answer is longer than the configured limit", e.Text)

	require.NoError(t, c.Feedback(t.Context(), testBatch, []string{"1"}), "a success does not need a body")
}

func TestACutAnswerIsANetworkFailure(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte(`{"id":`))
	})
	_, err := u.client(t).GetBatch(t.Context(), testBatch)
	require.Error(t, err)
	_, isAnswer := errors.AsType[*Error](err)
	require.False(t, isAnswer)

	require.NoError(t, u.client(t).Feedback(t.Context(), testBatch, []string{"1"}), "the status is enough")
}

// After 101 the connection is no longer HTTP, and net/http no longer ends reads from it.
func TestSwitchingProtocolsEndsTheCall(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		t.Cleanup(func() { _ = c.Close() })
		_, err = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		assert.NoError(t, err)
	})
	client, ended := u.client(t, withTimeout(300*time.Millisecond)), make(chan error, 1)
	go func() { ended <- client.Feedback(context.Background(), testBatch, []string{"447700900118"}) }()
	select {
	case err := <-ended:
		var e *Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, http.StatusSwitchingProtocols, e.HTTPStatus)
	case <-time.After(20 * time.Second):
		t.Fatal("the call does not end")
	}
}
