package gateway

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

	"github.com/dlrloop/dlrloop/handlers/access"
	"github.com/dlrloop/dlrloop/handlers/listener"
	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/sinch"
)

// Config configures the gateway: the plans it serves and who may call them. Zero members get the defaults.
type Config struct {
	Plans []Plan
	// Listen is the address that the gateway is served on. It decides whether the Host header is checked.
	Listen string
	// Basic and Bearer are the private listener's credentials. They are required if a plan has a Client.
	Basic  []access.Basic
	Bearer []string

	MaxBody  int64         // bytes of a request body; default 2 MiB
	Timeout  time.Duration // for Sinch to begin its answer; default 20 s
	Patience time.Duration // for the store to record a confirmation; default 10 s
}

// Format prints *** for every verb, since the configuration contains secrets.
func (Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalText returns ***, so no secret reaches an encoded text.
func (Config) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Plan configures a plan whose API the gateway serves. ID and Endpoint are required.
type Plan struct {
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

func (c Config) withDefaults() Config {
	c.MaxBody = cmp.Or(c.MaxBody, 2<<20)
	c.Timeout = cmp.Or(c.Timeout, 20*time.Second)
	c.Patience = cmp.Or(c.Patience, 10*time.Second)
	return c
}

// Gateway serves Sinch's API under /xms/v1/{plan}/… as a reverse proxy: requests and answers pass unchanged. It
// records in the store each batch that an answer of Sinch contains.
type Gateway struct {
	config     Config
	store      Store
	metrics    *metrics.Metrics
	log        *slog.Logger
	plans      map[string]*servedPlan // by plan id and by project id
	access     *access.Access
	checksHost bool
	transport  *http.Transport
	buffers    *buffers
	sampler    problem.LogSampler
	tokens     *tokens
	lookups    singleflight.Group
	recorder   *recorder
	traffic    *traffic
}

// servedPlan is the runtime state of one plan.
type servedPlan struct {
	Plan
	endpoint *url.URL
	callback atomic.Pointer[string]
}

// ErrOpenToken means that a plan has a Client although no credentials protect the gateway.
var ErrOpenToken = errors.New("plan lets everyone who reaches the gateway, even from this machine, send at your cost; " +
	"set private.credentials, which callers then need, or gateway: {token: caller}")

// New returns the gateway. It refuses a configuration that would let anybody send messages at the plan owner's
// cost.
func New(c Config, s Store, m *metrics.Metrics, log *slog.Logger) (*Gateway, error) {
	c = c.withDefaults()
	g := &Gateway{
		config: c, store: s, metrics: m, log: log,
		transport: newTransport(c.Timeout), buffers: &buffers{}, tokens: newTokens(), traffic: newTraffic(),
	}
	g.recorder = newRecorder(g)
	var err error
	// Unlike the API, the gateway may be reachable from other machines without private.credentials: a caller with a
	// token of its own is checked by Sinch.
	if g.access, err = access.New(c.Basic, c.Bearer); err != nil {
		return nil, err
	}
	g.checksHost = g.access.Challenges() == nil && access.Loopback(c.Listen)
	if err := g.indexPlans(c.Plans); err != nil {
		return nil, err
	}
	return g, nil
}

// indexPlans fills g.plans: by plan id, and by project id if exactly one plan belongs to the project.
func (g *Gateway) indexPlans(plans []Plan) error {
	g.plans = make(map[string]*servedPlan, len(plans))
	projects := make(map[string][]*servedPlan)
	for i, p := range plans {
		endpoint, err := url.Parse(p.Endpoint)
		if err != nil || endpoint.Host == "" {
			return fmt.Errorf("plans[%d]: the endpoint must be a URL with a host", i)
		}
		if p.Client != nil && g.access.Challenges() == nil {
			return fmt.Errorf("plans[%d].gateway.token: %w", i, ErrOpenToken)
		}
		plan := &servedPlan{Plan: p, endpoint: endpoint}
		plan.callback.Store(&p.Callback)
		g.plans[p.ID] = plan
		if p.Project != "" {
			projects[p.Project] = append(projects[p.Project], plan)
		}
	}
	for id, of := range projects {
		if _, exists := g.plans[id]; !exists && len(of) == 1 {
			g.plans[id] = of[0]
		}
	}
	return nil
}

// SetCallbacks replaces the webhook URLs, by plan id, for sends that arrive from now on. A plan that New got
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
	return g.Before(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/healthz" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = io.WriteString(w, "ok\n")
		default:
			problem.Of(problem.NotFound("this address")).Write(w, r)
		}
	}))
}

// Before returns a handler that serves the gateway's requests and passes all others to next. The gateway needs direct
// access to the connection, so no middleware may stand in front of it.
func (g *Gateway) Before(next http.Handler) http.Handler {
	return listener.WithoutTrace(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isGateway(r) {
			g.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// ServeHTTP serves a request for which isGateway is true.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := newProxiedRequest(g, w, r)
	defer p.end()
	if !g.traffic.begin() {
		w.Header().Set("Connection", "close")
		p.refuse(&problem.Problem{
			Kind: problem.KindBusy, Detail: "dlrloop is shutting down; Sinch was not called, retry later",
		})
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
func (g *Gateway) authorize(r *http.Request, plan *servedPlan) error {
	if g.checksHost {
		if err := access.CheckHost(r.Host); err != nil {
			return err
		}
	}
	if err := g.access.CheckOrigin(r); err != nil {
		return err
	}
	if plan == nil || plan.Client == nil {
		return nil
	}
	err := g.access.Check(r)
	if errors.Is(err, access.ErrCredentials) {
		return problem.Unauthorized("the gateway sends this plan's own token to Sinch, so it requires one of " +
			"private.credentials; the request has none or a wrong one")
	}
	return err
}
