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

// Config configures the gateway, a reverse proxy for Sinch's API: the service plans, the callers and the limits. A
// limit of zero means its default.
type Config struct {
	Plans []Plan
	// Listen is the address that the gateway is served on, as host:port. On a loopback address without credentials the
	// Host of every request is checked.
	Listen string
	// Basic and Bearer are the private listener's credentials, Bearer its tokens. At least one is required if a plan
	// has a Client.
	Basic  []access.Basic
	Bearer []string

	MaxBody  int64         // bytes of a request body; default 2 MiB
	Timeout  time.Duration // for Sinch to begin its answer; default 20 s
	Patience time.Duration // for the store to record a confirmation; default 10 s
}

// Format prints *** for every verb, since the configuration contains secrets.
func (Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalText returns ***, so that no encoder, such as encoding/json, writes a secret.
func (Config) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Plan configures a service plan, an account for sending at Sinch, whose API calls go through the gateway. ID and
// Endpoint are required.
type Plan struct {
	ID string
	// Project is the project id that clients with a project's access key send in place of ID; empty if there is no
	// project.
	Project string
	// Endpoint is the URL of the plan at Sinch (sinch.Config.Endpoint).
	Endpoint string
	// Client adds the plan's own token to each request in place of the caller's. If Client is nil, the caller's token
	// is passed on, and Sinch checks the token.
	Client *sinch.Client
	// TakesFeedback makes the gateway record delivery feedback, for the relay to send, instead of passing it on.
	TakesFeedback bool
	// Callback is the URL of the plan's webhook, for sends without a callback_url. If Callback is empty, no member is
	// added to sends, neither callback_url nor delivery_report.
	Callback string
}

func (c Config) withDefaults() Config {
	c.MaxBody = cmp.Or(c.MaxBody, 2<<20)
	c.Timeout = cmp.Or(c.Timeout, 20*time.Second)
	c.Patience = cmp.Or(c.Patience, 10*time.Second)
	return c
}

// Gateway is a reverse proxy for Sinch's API below /xms/v1/{plan}/. It records the batches in Sinch's answers in the
// store. It removes trailers, X-Forwarded headers, and headers that override the method or the URL. It changes requests
// as the fields Client, TakesFeedback and Callback of Plan describe, and passes on everything else as it is. It is safe
// for concurrent use.
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

// servedPlan is a configured service plan with the parsed URL of its endpoint. callback is the present webhook URL for
// its batches, which SetCallbacks may replace at any time.
type servedPlan struct {
	Plan
	endpoint *url.URL
	callback atomic.Pointer[string]
}

// ErrOpenToken is the error of New if a plan has an access token of its own (Plan.Client) but the gateway has no
// credentials to check callers. Any caller could then send messages with that token.
var ErrOpenToken = errors.New(
	"plan lets everyone who reaches the gateway, even from this machine, send at your cost; " +
		"set private.credentials, which callers then need, or gateway: {token: caller}",
)

// New returns a gateway that records batches and delivery feedback in the store s. It returns an error that wraps
// ErrOpenToken if the gateway would check no credentials of its callers and yet lend them the access token of a plan.
// Call Drain before you close the store.
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

// indexPlans fills the map g.plans, whose keys are the ids that callers may use in the path. Each plan has its own id
// as a key. If a project has only one plan, the project's id is a key of this plan, too, because clients with a
// project's access key use the project's id in the path. The error names the configuration key of an invalid plan.
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

// SetCallbacks replaces webhook URLs (Plan.Callback) for batches that callers send from now on. The keys of urls are
// plan ids. A plan whose id is not in urls keeps its URL. A plan that was created without a URL never gets one.
func (g *Gateway) SetCallbacks(urls map[string]string) {
	for _, p := range g.plans {
		if callback, given := urls[p.ID]; given && p.Callback != "" {
			p.callback.Store(&callback)
		}
	}
}

// Handler returns the handler for a listener of the gateway's own. It serves the gateway and /healthz, and answers any
// other path with 404.
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

// Before returns a handler that serves requests below /xms/v1/ with the gateway and passes all others to next. The
// gateway sets deadlines on the connection, so a wrapper around its http.ResponseWriter must have the method Unwrap.
func (g *Gateway) Before(next http.Handler) http.Handler {
	return listener.WithoutTrace(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isGateway(r) {
			g.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// ServeHTTP passes a request on to Sinch, or answers it with a problem. Serve the result of Handler or Before instead,
// because ServeHTTP does not refuse the method TRACE.
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

// Drain makes the gateway answer new requests with 503. It blocks until earlier requests have ended and their batches
// are recorded, or until ctx ends. The store may be closed afterwards in either case; a request that is still running
// then cannot record its batches any more.
func (g *Gateway) Drain(ctx context.Context) {
	g.traffic.drain(ctx)
	g.transport.CloseIdleConnections()
}

// authorize returns nil if the caller may use the plan, else the problem to answer. It checks the caller's credentials
// only if the plan has an access token of its own; otherwise Sinch checks the caller's token. plan is nil if it is not
// configured.
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
