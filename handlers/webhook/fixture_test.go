package webhook_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore"
	"github.com/dlrloop/dlrloop/store/storetest"
)

const (
	plan  = "plan-a"
	token = "a-token-of-the-plan"
)

// publicServer is a public listener over a real store whose operations can be made to fail.
type publicServer struct {
	*webhook.Webhook
	url      string
	server   *httptest.Server
	store    *storetest.Failing
	registry *prometheus.Registry
	log      *logged
}

// servePublic serves one plan with header authentication; change, unless nil, may modify the configuration first.
func servePublic(t *testing.T, change func(*webhook.Config)) *publicServer {
	t.Helper()
	kept, err := boltstore.Open(t.Context(), boltstore.Config{Path: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, kept.Close()) })
	p := &publicServer{store: storetest.NewFailing(kept), registry: prometheus.NewRegistry(), log: &logged{}}
	t.Cleanup(p.store.Heal)

	c := webhook.Config{Plans: []webhook.Plan{{ID: plan, Auth: byHeader("token-of-sinch")}}}
	if change != nil {
		change(&c)
	}
	m := metrics.New(p.registry, metrics.Config{Plans: []string{plan}})
	log := slog.New(slog.NewJSONHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p.Webhook, err = webhook.New(c, p.store, m, log)
	require.NoError(t, err)
	p.server = httptest.NewServer(p.Handler())
	t.Cleanup(p.server.Close)
	p.url = p.server.URL
	return p
}

func byHeader(values ...string) webhook.Auth {
	return webhook.Auth{Header: webhook.Header{Name: "X-Callback-Token", Values: values}}
}

// callback is a request to the webhook.
type callback struct {
	method string // default POST
	path   string // default: the webhook of plan
	header http.Header
	body   []byte
	length int64 // announced length; 0 is that of body, -1 announces none
}

// report returns the callback with one recipient's report and the credentials that servePublic requires.
func report(number string) callback {
	body := fmt.Appendf(nil, `{"type":"recipient_delivery_report_sms","batch_id":"b1","recipient":%q,"code":0,`+
		`"status":"Delivered","at":"2026-01-31T12:00:00.123Z"}`, number)
	return callback{header: verified(), body: body}
}

func verified() http.Header { return http.Header{"X-Callback-Token": {"token-of-sinch"}} }

// response is an answer with its whole body.
type response struct {
	status int
	header http.Header
	body   []byte
}

func (p *publicServer) send(t *testing.T, c callback) response {
	t.Helper()
	var body io.Reader = bytes.NewReader(c.body)
	if c.length != 0 {
		body = io.MultiReader(body) // hides the length
	}
	path := or(c.path, "/webhooks/"+plan)
	request, err := http.NewRequestWithContext(t.Context(), or(c.method, http.MethodPost), p.url+path, body)
	require.NoError(t, err)
	if c.length > 0 {
		request.ContentLength = c.length
	}
	for name, values := range c.header {
		request.Header[name] = values
	}
	answered, err := p.server.Client().Do(request)
	require.NoError(t, err)
	defer answered.Body.Close()
	content, err := io.ReadAll(answered.Body)
	require.NoError(t, err)
	return response{answered.StatusCode, answered.Header, content}
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// problemOf decodes an answer that must be a problem.
func problemOf(t *testing.T, r response) (problem struct {
	Type, Title, Detail string
	Status              int
	RequestID           string `json:"request_id"`
},
) {
	t.Helper()
	require.Equal(t, "application/problem+json", r.header.Get("Content-Type"))
	require.NoError(t, json.Unmarshal(r.body, &problem))
	require.Equal(t, r.status, problem.Status)
	require.Equal(t, problem.RequestID, r.header.Get("X-Request-Id"))
	return problem
}

// count returns the sum of the metric's series that have all these labels, each written name=value.
func (p *publicServer) count(t *testing.T, metric string, labels ...string) int {
	t.Helper()
	families, err := p.registry.Gather()
	require.NoError(t, err)
	sum, found := 0.0, false
	for _, f := range families {
		if f.GetName() != "dlrloop_"+metric {
			continue
		}
		for _, m := range f.GetMetric() {
			has := make(map[string]bool)
			for _, l := range m.GetLabel() {
				has[l.GetName()+"="+l.GetValue()] = true
			}
			matches := true
			for _, l := range labels {
				matches = matches && has[l]
			}
			if matches {
				sum, found = sum+m.GetCounter().GetValue(), true
			}
		}
	}
	require.True(t, found, "no series of %s with %v", metric, labels)
	return int(sum)
}

// kept returns the stored report bodies of batch b1.
func (p *publicServer) kept(t *testing.T) []string {
	t.Helper()
	var bodies []string
	page, err := p.store.Reports(t.Context(), store.BatchKey{Plan: plan, BatchID: "b1"}, store.Paging{})
	if err != nil {
		require.ErrorIs(t, err, store.ErrNotFound)
		return nil
	}
	for _, r := range page.Items {
		bodies = append(bodies, string(r.Raw))
	}
	return bodies
}

// quarantined returns the bodies in the quarantine.
func (p *publicServer) quarantined(t *testing.T) []string {
	t.Helper()
	page, err := p.store.Quarantine(t.Context(), store.Paging{})
	require.NoError(t, err)
	var bodies []string
	for _, e := range page.Items {
		require.Equal(t, plan, e.Plan)
		bodies = append(bodies, string(e.Raw))
	}
	return bodies
}

func zipped(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(plain)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}

// logged is a log that can be read while it is written.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// lines returns the log lines that contain all these parts.
func (l *logged) lines(parts ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for line := range strings.Lines(l.text.String()) {
		has := true
		for _, part := range parts {
			has = has && strings.Contains(line, part)
		}
		if has {
			found = append(found, line)
		}
	}
	return found
}

// signedCallback is a callback with a valid signature.
type signedCallback struct {
	Secret  string
	Headers map[string]string
	Body    string
}

func readSigned(t testing.TB) signedCallback {
	t.Helper()
	b := fixtures.Read(t, "sig-example.json")
	var s signedCallback
	require.NoError(t, json.Unmarshal(b, &s))
	return s
}

const aWhile = 50 * time.Millisecond
