package handlers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// GatewayConfig configures the gateway: the plans it serves and who may call them. Zero members get the defaults.
type GatewayConfig struct {
	Plans []GatewayPlan
	// Listen is the address that the gateway is served on. It decides whether the Host header is checked.
	Listen string
	// Basic and Bearer are the private listener's credentials. They are required if a plan has a Client.
	Basic  []BasicCredential
	Bearer []string

	MaxBody  int64         // bytes of a request body; default 2 MiB
	Timeout  time.Duration // for Sinch to begin its answer; default 20 s
	Patience time.Duration // for the store to record a confirmation; default 10 s
}

// Format prints *** for every verb, since the configuration contains secrets.
func (GatewayConfig) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalText returns ***, so no secret reaches an encoded text.
func (GatewayConfig) MarshalText() ([]byte, error) { return []byte("***"), nil }

// GatewayPlan configures a plan whose API the gateway serves. ID and Endpoint are required.
type GatewayPlan struct {
	ID string
	// Project is the id that callers with a project's access key use in place of the plan's id; empty for none.
	Project string
	// Endpoint is the URL of the plan at Sinch (sinch.Config.Endpoint).
	Endpoint string
	// Client replaces the caller's token by the plan's own. If it is nil the caller's token is passed on, and Sinch
	// checks it.
	Client *sinch.Client
	// TakesFeedback makes the gateway record delivery feedback, for the relay to send, instead of passing it on.
	TakesFeedback bool
	// Callback is the URL of the plan's webhook. Sends that lack delivery_report or callback_url are completed with
	// it. If it is empty, sends are not changed.
	Callback string
}

func (c GatewayConfig) withDefaults() GatewayConfig {
	c.MaxBody = cmp.Or(c.MaxBody, 2<<20)
	c.Timeout = cmp.Or(c.Timeout, 20*time.Second)
	c.Patience = cmp.Or(c.Patience, defaultPatience)
	return c
}

// Gateway serves Sinch's API under /xms/v1/{plan}/… as a reverse proxy: requests and answers pass unchanged. It
// records in the store each batch that an answer of Sinch contains.
type Gateway struct {
	config      GatewayConfig
	store       store.Store
	metrics     *metrics.Metrics
	log         *slog.Logger
	plans       map[string]*gatewayPlan // by plan id and by project id
	access      *access
	checksHost  bool
	crossOrigin *http.CrossOriginProtection
	transport   *http.Transport
	buffers     *buffers
	sampler     logSampler
	tokens      *tokens
	lookups     singleflight.Group
	recorder    *recorder
	traffic     *traffic
}

// gatewayPlan is the runtime state of one plan.
type gatewayPlan struct {
	GatewayPlan
	endpoint *url.URL
	callback atomic.Pointer[string]
}

// NewGateway returns the gateway. It refuses a configuration that would let anybody send messages at the plan owner's
// cost.
func NewGateway(c GatewayConfig, s store.Store, m *metrics.Metrics, log *slog.Logger) (*Gateway, error) {
	c = c.withDefaults()
	g := &Gateway{
		config: c, store: s, metrics: m, log: log,
		crossOrigin: http.NewCrossOriginProtection(),
		transport:   newGatewayTransport(c.Timeout), buffers: &buffers{}, tokens: newTokens(), traffic: newTraffic(),
	}
	g.recorder = newRecorder(g)
	var err error
	// newAccess must accept any address here: a caller with a token of its own is checked by Sinch, so the gateway may
	// be reachable from other machines without private.credentials.
	if g.access, err = newAccess(PrivateConfig{Listen: "127.0.0.1:0", Basic: c.Basic, Bearer: c.Bearer}); err != nil {
		return nil, err
	}
	g.checksHost = g.access.challenges == nil && loopback(c.Listen)
	if err := g.indexPlans(c.Plans); err != nil {
		return nil, err
	}
	return g, nil
}

// indexPlans fills g.plans: by plan id, and by project id if exactly one plan belongs to the project.
func (g *Gateway) indexPlans(plans []GatewayPlan) error {
	g.plans = make(map[string]*gatewayPlan, len(plans))
	projects := make(map[string][]*gatewayPlan)
	for i, p := range plans {
		endpoint, err := url.Parse(p.Endpoint)
		if err != nil || endpoint.Host == "" {
			return fmt.Errorf("plans[%d]: the endpoint must be a URL with a host", i)
		}
		if p.Client != nil && g.access.challenges == nil {
			return fmt.Errorf("plans[%d].gateway.token: plan lets anybody who reaches the gateway send at your cost: "+
				"set private.credentials, which callers then must present, or gateway: {token: caller}", i)
		}
		plan := &gatewayPlan{GatewayPlan: p, endpoint: endpoint}
		plan.callback.Store(&p.Callback)
		g.plans[p.ID] = plan
		if p.Project != "" {
			projects[p.Project] = append(projects[p.Project], plan)
		}
	}
	for id, of := range projects {
		if _, taken := g.plans[id]; !taken && len(of) == 1 {
			g.plans[id] = of[0]
		}
	}
	return nil
}

// SetCallbacks replaces the webhook URLs, by plan id, for sends that arrive from now on. A plan that NewGateway got
// without a Callback is ignored: its sends stay unchanged.
func (g *Gateway) SetCallbacks(urls map[string]string) {
	for _, p := range g.plans {
		if callback, given := urls[p.ID]; given && p.Callback != "" {
			p.callback.Store(&callback)
		}
	}
}

// Handler returns a handler for a listener that serves only the gateway and /healthz.
func (g *Gateway) Handler() http.Handler {
	return withoutTrace(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case isGateway(r):
			g.ServeHTTP(w, r)
		case r.URL.Path == "/healthz" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = io.WriteString(w, "ok\n")
		default:
			problemOf(notFound("this address")).write(w, r)
		}
	}))
}

// ServeHTTP serves a request for which isGateway is true.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := newProxiedRequest(g, w, r)
	defer p.end()
	if !g.traffic.begin() {
		w.Header().Set("Connection", "close")
		p.refuse(&problem{kind: kindBusy, detail: "dlrloop is shutting down; Sinch was not called, retry later"})
		return
	}
	defer g.traffic.end()
	if err := p.serve(); err != nil {
		p.refuse(err)
	}
}

// Drain refuses new requests and blocks until no request is in flight and every observed batch is recorded, or until
// ctx ends. Closing the store ends what is then still being recorded.
func (g *Gateway) Drain(ctx context.Context) {
	g.traffic.drain(ctx)
	g.transport.CloseIdleConnections()
}

// authorize returns nil if the request may use the plan. A plan without a Client accepts every token, since Sinch
// checks it.
func (g *Gateway) authorize(r *http.Request, plan *gatewayPlan) error {
	if g.checksHost {
		if err := checkHost(r.Host); err != nil {
			return err
		}
	}
	if g.crossOrigin.Check(r) != nil {
		return forbidden(http.StatusForbidden, "requests from pages of other sites are refused")
	}
	if plan == nil || plan.Client == nil {
		return nil
	}
	err := g.access.check(r)
	if errors.Is(err, errCredentials) {
		return unauthorized("the gateway sends this plan's own token to Sinch, so it requires one of " +
			"private.credentials; the request has none or a wrong one")
	}
	return err
}
