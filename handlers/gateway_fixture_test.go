package handlers

import (
	"bytes"
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

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

const (
	gatewayPlanA = "plan-a"
	callerToken  = "Bearer token-of-the-caller"
	batchSent    = "01K2S9A1V5K3C8MEX7RQ0YBD4W"
)

// recordedCall is a request as the upstream got it.
type recordedCall struct {
	method, uri, host string
	header            http.Header
	length            int64
	encoding          []string // Transfer-Encoding
	body              []byte
}

// upstream stands for Sinch where a test says what it answers.
type upstream struct {
	*httptest.Server
	mu     sync.Mutex
	calls  []recordedCall // guarded by mu
	answer atomic.Pointer[func(http.ResponseWriter, *http.Request)]
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*u.answer.Load())(w, r) }))
	t.Cleanup(u.Close)
	u.answers(http.StatusOK, "")
	return u
}

// does has the upstream answer so, without recording.
func (u *upstream) does(f func(http.ResponseWriter, *http.Request)) { u.answer.Store(&f) }

// answers has the upstream record a call and answer so.
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
	u.calls = append(u.calls, recordedCall{r.Method, r.RequestURI, r.Host, r.Header.Clone(), r.ContentLength, r.TransferEncoding, body})
}

// taken returns the calls since the last time.
func (u *upstream) taken() []recordedCall {
	u.mu.Lock()
	defer u.mu.Unlock()
	calls := u.calls
	u.calls = nil
	return calls
}

// only returns the one call since the last time.
func (u *upstream) only(t *testing.T) recordedCall {
	t.Helper()
	calls := u.taken()
	require.Len(t, calls, 1)
	return calls[0]
}

// logBook is a log that a test reads.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// gatewayFixture is a gateway between a client and an upstream, on real sockets.
type gatewayFixture struct {
	t        *testing.T
	upstream *upstream
	store    *storetest.Failing
	registry *prometheus.Registry
	gateway  *Gateway
	server   *httptest.Server
	log      *logBook
}

// newGatewayFixture builds one of plan-a; change may change the configuration before.
func newGatewayFixture(t *testing.T, change func(*GatewayConfig)) *gatewayFixture {
	t.Helper()
	h := &gatewayFixture{
		t: t, upstream: newUpstream(t), store: storetest.NewFailing(openStore(t)),
		registry: prometheus.NewRegistry(), log: &logBook{},
	}
	c := GatewayConfig{Listen: "127.0.0.1:0", Plans: []GatewayPlan{{
		ID: gatewayPlanA, Endpoint: h.upstream.URL + "/xms/v1/" + gatewayPlanA, TakesFeedback: true,
	}}}
	if change != nil {
		change(&c)
	}
	m := metrics.New(h.registry, metrics.Config{Plans: []string{gatewayPlanA}})
	var err error
	h.gateway, err = NewGateway(c, h.store, m, slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(t, err)
	h.server = httptest.NewServer(h.gateway.Handler())
	t.Cleanup(func() {
		h.server.Close()
		h.store.Heal()
		h.gateway.Drain(context.Background())
	})
	return h
}

// request is a call of the plan's API, with the caller's token.
func (h *gatewayFixture) request(method, tail string, body io.Reader) *http.Request {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.server.URL+"/xms/v1/"+gatewayPlanA+tail, body)
	require.NoError(h.t, err)
	r.Header.Set("Authorization", callerToken)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// do makes a call and reads its answer to the end. What is compressed stays so.
func (h *gatewayFixture) do(r *http.Request) reply {
	h.t.Helper()
	answered, err := (&http.Transport{DisableCompression: true, DisableKeepAlives: true}).RoundTrip(r)
	require.NoError(h.t, err)
	defer func() { require.NoError(h.t, answered.Body.Close()) }()
	got, err := io.ReadAll(answered.Body)
	require.NoError(h.t, err)
	return reply{answered, got}
}

// call is do for a body in a string; empty for none.
func (h *gatewayFixture) call(method, tail, body string) reply {
	h.t.Helper()
	if body == "" {
		return h.do(h.request(method, tail, nil))
	}
	return h.do(h.request(method, tail, strings.NewReader(body)))
}

// problem is the problem in an answer of this status.
func (h *gatewayFixture) problem(a reply, status int) string {
	h.t.Helper()
	require.Equal(h.t, status, a.StatusCode, "%s", a.body)
	require.Equal(h.t, "application/problem+json", a.Header.Get("Content-Type"))
	return decodeProblem(h.t, a).Detail
}

// batch is what the store has of a batch, nil for nothing.
func (h *gatewayFixture) batch(id string) *store.Batch {
	h.t.Helper()
	b, err := h.store.Store.Batch(h.t.Context(), store.BatchKey{Plan: gatewayPlanA, BatchID: id})
	if err != nil {
		require.ErrorIs(h.t, err, store.ErrNotFound)
		return nil
	}
	return b
}

// counted is the value of a series of plan-a, by its name and labels without the plan.
func (h *gatewayFixture) counted(name string, labels ...string) float64 {
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

func (h *gatewayFixture) requests(op, outcome string) float64 {
	return h.counted("gateway_requests_total", "operation", op, "outcome", outcome)
}

func (h *gatewayFixture) learned(result string) float64 {
	return h.counted("gateway_learned_total", "plan", gatewayPlanA, "result", result)
}

// drain waits until nothing is under way any more. Nothing is taken after that.
func (h *gatewayFixture) drain() { h.gateway.Drain(h.t.Context()) }
