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

// GatewayConfig says for which plans the gateway stands in for Sinch, and who may use it. Zero members get the defaults.
type GatewayConfig struct {
	Plans []GatewayPlan
	// Listen is the address it will be served on.
	Listen string
	// Basic and Bearer are the private listener's credentials: plans that the gateway calls with a token of its own need one.
	Basic  []BasicCredential
	Bearer []string

	MaxBody  int64         // bytes of a request; default 2 MiB
	Timeout  time.Duration // for Sinch to begin its answer; default 20 s
	Patience time.Duration // for the store to have made a confirmation durable; default 10 s
}

// Format prints *** for every verb: there are secrets in it.
func (GatewayConfig) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalText gives *** to encoders.
func (GatewayConfig) MarshalText() ([]byte, error) { return []byte("***"), nil }

// GatewayPlan is a plan whose API the gateway offers. ID and Endpoint are required.
type GatewayPlan struct {
	ID string
	// Project is the id by which callers with a project's access key call the plan; empty for none.
	Project string
	// Endpoint is where Sinch has the plan (sinch.Config.Endpoint).
	Endpoint string
	// Client puts the plan's own token in the place of the caller's. Nil: the caller's own is passed on, and Sinch checks it.
	Client *sinch.Client
	// TakesFeedback has confirmations recorded, for the relay to send, in place of passing them on.
	TakesFeedback bool
	// Callback is the URL of the plan's webhook: sends that leave out where and what to report are completed with it. Empty:
	// sends stay as they are.
	Callback string
}

func (c GatewayConfig) withDefaults() GatewayConfig {
	c.MaxBody = cmp.Or(c.MaxBody, 2<<20)
	c.Timeout = cmp.Or(c.Timeout, 20*time.Second)
	c.Patience = cmp.Or(c.Patience, defaultPatience)
	return c
}

// Gateway is Sinch's API under /xms/v1/{plan}/…: what comes in goes out as it is, and so does what comes back. On its way the
// store learns which batches there are.
type Gateway struct {
	config      GatewayConfig
	store       store.Store
	metrics     *metrics.Metrics
	log         *slog.Logger
	plans       map[string]*gatewayPlan // by every id they are called by
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

// gatewayPlan is a plan at work.
type gatewayPlan struct {
	GatewayPlan
	endpoint *url.URL
	callback atomic.Pointer[string]
}

// NewGateway returns the gateway over s. It refuses a configuration that would let anybody send at the owner's cost.
func NewGateway(c GatewayConfig, s store.Store, m *metrics.Metrics, log *slog.Logger) (*Gateway, error) {
	c = c.withDefaults()
	g := &Gateway{
		config: c, store: s, metrics: m, log: log,
		crossOrigin: http.NewCrossOriginProtection(),
		transport:   newGatewayTransport(c.Timeout), buffers: &buffers{}, tokens: newTokens(), traffic: newTraffic(),
	}
	g.recorder = newRecorder(g)
	var err error
	// Who can reach the listener is for the configuration: with its own token a caller is Sinch's to check.
	if g.access, err = newAccess(PrivateConfig{Listen: "127.0.0.1:0", Basic: c.Basic, Bearer: c.Bearer}); err != nil {
		return nil, err
	}
	g.checksHost = g.access.challenges == nil && loopback(c.Listen)
	if err := g.indexPlans(c.Plans); err != nil {
		return nil, err
	}
	return g, nil
}

// indexPlans finds each plan by its id, and by its project's id where only one plan has it.
func (g *Gateway) indexPlans(plans []GatewayPlan) error {
	g.plans = make(map[string]*gatewayPlan, len(plans))
	projects := make(map[string][]*gatewayPlan)
	for i, p := range plans {
		endpoint, err := url.Parse(p.Endpoint)
		if err != nil || endpoint.Host == "" {
			return fmt.Errorf("plans[%d]: the endpoint is no URL with a host", i)
		}
		if p.Client != nil && g.access.challenges == nil {
			return fmt.Errorf("plans[%d].gateway.token: plan lets whoever reaches the gateway send at your cost: "+
				"set private.credentials, which callers then need, or gateway: {token: caller}", i)
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

// SetCallbacks changes the webhooks' URLs, by plan, for sends that come in from now on. It completes only what was completed
// before.
func (g *Gateway) SetCallbacks(urls map[string]string) {
	for _, p := range g.plans {
		if callback, given := urls[p.ID]; given && p.Callback != "" {
			p.callback.Store(&callback)
		}
	}
}

// Handler serves the gateway and a health check alone: for a listener of its own.
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

// ServeHTTP answers what isGateway says is its own.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := newProxiedRequest(g, w, r)
	defer p.end()
	if !g.traffic.begin() {
		w.Header().Set("Connection", "close")
		p.refuse(&problem{kind: kindBusy, detail: "the process is about to end; Sinch was not called, the same call will do later"})
		return
	}
	defer g.traffic.end()
	if err := p.serve(); err != nil {
		p.refuse(err)
	}
}

// Drain refuses what comes in from now on and returns when nothing is under way any more, or when ctx ends: what is still to be
// learned then ends with the store.
func (g *Gateway) Drain(ctx context.Context) {
	g.traffic.drain(ctx)
	g.transport.CloseIdleConnections()
}

// admit lets a request in that may use the plan. Where its own token goes to Sinch, Sinch decides.
func (g *Gateway) authorize(r *http.Request, plan *gatewayPlan) error {
	if g.checksHost {
		if err := checkHost(r.Host); err != nil {
			return err
		}
	}
	if g.crossOrigin.Check(r) != nil {
		return forbidden(http.StatusForbidden, "a page of another site may not send anything here")
	}
	if plan == nil || plan.Client == nil {
		return nil
	}
	err := g.access.check(r)
	if errors.Is(err, errCredentials) {
		return unauthorized("for this plan the gateway has Sinch's token itself and needs one of private.credentials from you; " +
			"the request has none or a wrong one")
	}
	return err
}
