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

// PrivateConfig says where the private listener stands, who may use it, and how long it works on a request.
type PrivateConfig struct {
	// Listen is the address it will be served on. An address that others than this machine can reach needs credentials.
	Listen string
	// Basic and Bearer are the credentials that open everything but the health checks; any of them will do. With none of
	// either, everybody on this machine is let in.
	Basic  []BasicCredential
	Bearer []string
	// Plans are the ids of the configured service plans: batches are registered for them alone.
	Plans []string
	// Gateway serves Sinch's API; nil where it has a listener of its own.
	Gateway *Gateway
	// Draining reports whether the process is about to end: it is not ready then. Nil means never.
	Draining func() bool
	// Patience is how long one request may wait for the store; default 10 s.
	Patience time.Duration
}

// Format prints *** for every verb: there are secrets in it.
func (PrivateConfig) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalText gives *** to encoders.
func (PrivateConfig) MarshalText() ([]byte, error) { return []byte("***"), nil }

// defaultPatience is below the write time-out that a server has.
const defaultPatience = 10 * time.Second

// Private serves the people and programs inside: the API, the metrics, the health checks. It shows whole phone numbers.
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

// NewPrivate returns the private listener's handler over s; scrape answers /metrics. It refuses a configuration that would
// let others in than those it names.
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

// Handler is what the listener serves. The gateway lets in by rules of its own, and nothing may come between it and the
// connection.
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
	// Ids are opaque: an encoded slash in one does not end the segment, and a + in a number is no space.
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

// get answers HEAD too, as HTTP asks of whatever answers GET.
func get(r gin.IRoutes, path string, h gin.HandlerFunc) {
	r.GET(path, h)
	r.HEAD(path, h)
}

// setHeaders sets what every answer carries.
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

// guard lets only those in who may, and no request that a page of another site has a browser send.
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
			p.failures.fail(c, forbidden(http.StatusForbidden, "a page of another site may not change anything here"))
		}
	}
}
