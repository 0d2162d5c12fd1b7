package gateway

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

const (
	planA       = "plan-a"
	callerToken = "Bearer token-of-the-caller"
	batchSent   = "01K2S9A1V5K3C8MEX7RQ0YBD4W"
)

// recordedCall is a request as the upstream received it.
type recordedCall struct {
	method, uri, host string
	header            http.Header
	length            int64
	encoding          []string // Transfer-Encoding
	body              []byte
}

// upstream replaces Sinch by a server with made-up answers.
type upstream struct {
	*httptest.Server
	mu     sync.Mutex
	calls  []recordedCall // guarded by mu
	answer atomic.Pointer[func(http.ResponseWriter, *http.Request)]
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request,
	) {
		(*u.answer.Load())(w, r)
	}))
	t.Cleanup(u.Close)
	u.answers(http.StatusOK, "")
	return u
}

// does sets the upstream's handler. It does not record calls.
func (u *upstream) does(f func(http.ResponseWriter, *http.Request)) { u.answer.Store(&f) }

// answers makes the upstream record each call and send this answer; header holds names and values in turn.
func (u *upstream) answers(status int, body string, header ...string) {
	u.does(func(w http.ResponseWriter, r *http.Request) {
		u.record(r)
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func (u *upstream) record(r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls = append(u.calls, recordedCall{
		r.Method, r.RequestURI, r.Host, r.Header.Clone(), r.ContentLength, r.TransferEncoding, body,
	})
}

// newCalls returns the calls since the previous newCalls or only.
func (u *upstream) newCalls() []recordedCall {
	u.mu.Lock()
	defer u.mu.Unlock()
	calls := u.calls
	u.calls = nil
	return calls
}

// only returns the single call since the previous newCalls or only. Any other number of calls fails the test.
func (u *upstream) only(t *testing.T) recordedCall {
	t.Helper()
	calls := u.newCalls()
	require.Len(t, calls, 1)
	return calls[0]
}

// fixture is a gateway between a client and an upstream, on real sockets.
type fixture struct {
	t        *testing.T
	upstream *upstream
	store    *storetest.Failing
	registry *prometheus.Registry
	gateway  *Gateway
	server   *httptest.Server
	log      *handlerstest.Log
}

// newFixture starts a gateway with plan-a; change, unless nil, may modify its configuration first.
func newFixture(t *testing.T, change func(*Config)) *fixture {
	t.Helper()
	h := &fixture{
		t: t, upstream: newUpstream(t), store: storetest.NewFailing(handlerstest.OpenStore(t)),
		registry: prometheus.NewRegistry(), log: &handlerstest.Log{},
	}
	c := Config{Listen: "127.0.0.1:0", Plans: []Plan{{
		ID: planA, Endpoint: h.upstream.URL + "/xms/v1/" + planA, TakesFeedback: true,
	}}}
	if change != nil {
		change(&c)
	}
	m := metrics.New(h.registry, metrics.Config{Plans: []string{planA}})
	var err error
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.gateway, err = New(c, h.store, m, log)
	require.NoError(t, err)
	h.server = httptest.NewServer(h.gateway.Handler())
	t.Cleanup(func() {
		h.server.Close()
		h.store.Heal()
		h.gateway.Drain(context.Background())
	})
	return h
}

// request returns a request for the plan's API with the caller's token.
func (h *fixture) request(method, tail string, body io.Reader) *http.Request {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.server.URL+"/xms/v1/"+planA+tail, body)
	require.NoError(h.t, err)
	r.Header.Set("Authorization", callerToken)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// do sends r and reads the whole answer. A compressed answer is not decompressed.
func (h *fixture) do(r *http.Request) handlerstest.Reply {
	h.t.Helper()
	answered, err := (&http.Transport{DisableCompression: true, DisableKeepAlives: true}).RoundTrip(r)
	require.NoError(h.t, err)
	defer func() { require.NoError(h.t, answered.Body.Close()) }()
	got, err := io.ReadAll(answered.Body)
	require.NoError(h.t, err)
	return handlerstest.Reply{Response: answered, Content: got}
}

// call is do with a body as a string; "" is no body.
func (h *fixture) call(method, tail, body string) handlerstest.Reply {
	h.t.Helper()
	if body == "" {
		return h.do(h.request(method, tail, nil))
	}
	return h.do(h.request(method, tail, strings.NewReader(body)))
}

// problem requires an answer to be a problem with this status, and returns its detail.
func (h *fixture) problem(a handlerstest.Reply, status int) string {
	h.t.Helper()
	require.Equal(h.t, status, a.StatusCode, "%s", a.Content)
	require.Equal(h.t, "application/problem+json", a.Header.Get("Content-Type"))
	return a.Problem(h.t).Detail
}

// batch returns a batch from the store, or nil if the store does not have it.
func (h *fixture) batch(id string) *store.Batch {
	h.t.Helper()
	b, err := h.store.Store.Batch(h.t.Context(), store.BatchKey{Plan: planA, BatchID: id})
	if err != nil {
		require.ErrorIs(h.t, err, store.ErrNotFound)
		return nil
	}
	return b
}

// counted returns the value of a counter that has all these labels; labels holds names and values in turn.
func (h *fixture) counted(name string, labels ...string) float64 {
	h.t.Helper()
	families, err := h.registry.Gather()
	require.NoError(h.t, err)
	for _, f := range families {
		if f.GetName() != "dlrloop_"+name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			for i := 0; i < len(labels); i += 2 {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
				}
				if !found {
					continue series
				}
			}
			return m.GetCounter().GetValue()
		}
	}
	return 0
}

func (h *fixture) requests(op, outcome string) float64 {
	return h.counted("gateway_requests_total", "operation", op, "outcome", outcome)
}

func (h *fixture) observed(result string) float64 {
	return h.counted("gateway_observed_total", "plan", planA, "result", result)
}

// drain blocks until no request or recording is in flight. The gateway refuses all later requests.
func (h *fixture) drain() { h.gateway.Drain(h.t.Context()) }
