package handlers

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/store"
)

// PrivateConfig configures the private listener: its address, its callers' credentials and its time limits.
type PrivateConfig struct {
	// Listen is the address that the listener is served on. An address that other machines can reach requires
	// credentials.
	Listen string
	// Basic and Bearer are alternative credentials for everything but the health checks. Without any, every caller on
	// this machine is accepted.
	Basic  []BasicCredential
	Bearer []string
	// Plans are the ids of the configured service plans. Batches can be registered only for these.
	Plans []string
	// Gateway serves Sinch's API on this listener, too. It is nil if the gateway has a listener of its own.
	Gateway *Gateway
	// Draining reports whether the process is shutting down; /readyz then answers 503. Nil means never.
	Draining func() bool
	// Patience limits how long a request waits for the store; default 10 s.
	Patience time.Duration
}

// Format prints *** for every verb, since the configuration contains secrets.
func (PrivateConfig) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalText returns ***, so no secret reaches an encoded text.
func (PrivateConfig) MarshalText() ([]byte, error) { return []byte("***"), nil }

// defaultPatience is shorter than the WriteTimeout of the http.Server.
const defaultPatience = 10 * time.Second

// Private is the handler of the private listener: the API, the metrics and the health checks. Its answers contain
// whole phone numbers.
type Private struct {
	config   PrivateConfig
	store    store.Store
	failures failures
	engine   *gin.Engine
}

//go:embed openapi.yaml
var openapiYAML []byte

//go:embed private_index.html
var privateIndex []byte

// NewPrivate returns the private listener's handler; scrape answers /metrics. It refuses a configuration that other
// machines can reach without credentials, and invalid credentials.
func NewPrivate(c PrivateConfig, s store.Store, scrape http.Handler, log *slog.Logger) (*Private, error) {
	a, err := newAccess(c)
	if err != nil {
		return nil, err
	}
	if c.Patience <= 0 {
		c.Patience = defaultPatience
	}
	if c.Draining == nil {
		c.Draining = func() bool { return false }
	}
	p := &Private{config: c, store: s, failures: failures{log}}
	p.engine, err = p.routes(a, scrape)
	if err != nil {
		return nil, fmt.Errorf("private listener: %w", err)
	}
	return p, nil
}

// Handler returns the handler to serve. Gateway requests bypass gin and its middlewares: the gateway checks callers
// itself and needs direct access to the connection.
func (p *Private) Handler() http.Handler {
	if p.config.Gateway == nil {
		return withoutTrace(p.engine)
	}
	return withoutTrace(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isGateway(r) {
			p.config.Gateway.ServeHTTP(w, r)
			return
		}
		p.engine.ServeHTTP(w, r)
	}))
}

func (p *Private) routes(a *access, scrape http.Handler) (*gin.Engine, error) {
	e, err := newEngine(p.failures, kindInternal, nil)
	if err != nil {
		return nil, err
	}
	// Ids are opaque: an encoded slash in an id does not end the segment, and a + in a number is not a space.
	e.UseEscapedPath, e.UnescapePathValues = true, false

	guard := p.guard(a)
	e.Use(setHeaders)
	e.NoRoute(guard, func(c *gin.Context) { p.failures.fail(c, notFound("this address")) })
	e.NoMethod(guard, func(c *gin.Context) {
		p.failures.fail(c, &problem{kind: kindMethod, detail: "allowed: " + c.Writer.Header().Get("Allow")})
	})

	get(e, "/healthz", p.healthz)
	get(e, "/readyz", p.readyz)

	inside := e.Group("", guard)
	get(inside, "/", p.index)
	get(inside, "/metrics", gin.WrapH(scrape))
	get(inside, "/openapi.yaml", p.openapi)

	api := inside.Group("/api/v1")
	get(api, "/batches", p.read(p.batches))
	api.POST("/plans/:plan/batches", p.register)
	get(api, "/plans/:plan/batches/:id", p.read(p.batch))
	get(api, "/plans/:plan/batches/:id/recipients", p.read(p.recipients))
	get(api, "/plans/:plan/batches/:id/recipients/:number", p.read(p.recipient))
	get(api, "/plans/:plan/batches/:id/reports", p.read(p.reports))
	get(api, "/recipients/:number", p.read(p.recipientBatches))
	get(api, "/feedback", p.read(p.feedback))
	api.POST("/feedback/requeue", p.requeue)
	get(api, "/quarantine", p.read(p.quarantine))
	get(api, "/stats", p.read(p.stats))
	get(api, "/timeseries", p.read(p.timeseries))
	return e, nil
}

// get registers h for GET and for HEAD.
func get(r gin.IRoutes, path string, h gin.HandlerFunc) {
	r.GET(path, h)
	r.HEAD(path, h)
}

// setHeaders is a middleware that sets the headers of every answer.
func setHeaders(c *gin.Context) {
	h := c.Writer.Header()
	if id := requestID(c); id != "" {
		h.Set("X-Request-Id", id)
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
}

// guard is a middleware that refuses callers without a valid credential, and requests that a page of another site
// makes a browser send.
func (p *Private) guard(a *access) gin.HandlerFunc {
	crossOrigin := http.NewCrossOriginProtection()
	return func(c *gin.Context) {
		err := a.check(c.Request)
		switch {
		case errors.Is(err, errCredentials):
			c.Writer.Header()["Www-Authenticate"] = a.challenges
			p.failures.fail(c, unauthorized(err.Error()))
		case err != nil:
			p.failures.fail(c, err)
		case crossOrigin.Check(c.Request) != nil:
			p.failures.fail(c, forbidden(http.StatusForbidden, "requests from pages of other sites are refused"))
		}
	}
}
