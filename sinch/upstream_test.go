package sinch

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testPlan  = "jd63jf88477ll123"
	testToken = "a3f0c9d1e5b74c2f"
	testBatch = "01K2QHBT0F9G2KSY7P3M1DQX8R"
)

// upstream stands in for Sinch. It keeps the requests it receives and answers as a test tells it to.
type upstream struct {
	*httptest.Server

	mu       sync.Mutex // guards received
	received []request
}

// request is one request as received.
type request struct {
	Method, URI, Body string
	Header            http.Header
}

func newUpstream(t *testing.T, answer http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		u.mu.Lock()
		u.received = append(u.received, request{r.Method, r.RequestURI, string(body), r.Header})
		u.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) requests() []request {
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]request(nil), u.received...)
}

// client returns a client of the upstream. The change functions alter its configuration.
func (u *upstream) client(t *testing.T, change ...func(*Config)) *Client {
	t.Helper()
	config := Config{Plan: testPlan, BaseURL: u.URL, Token: testToken}
	for _, c := range change {
		c(&config)
	}
	c, err := New(config)
	require.NoError(t, err)
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func withTimeout(d time.Duration) func(*Config) { return func(c *Config) { c.Timeout = d } }

// respond returns a handler that answers with a status, a body and headers, given as name, value pairs.
func respond(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}
