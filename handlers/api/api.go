package api

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/handlers/access"
	"github.com/dlrloop/dlrloop/handlers/listener"
	"github.com/dlrloop/dlrloop/handlers/problem"
)

// Config configures the private listener, which serves the HTTP API, the metrics and the health checks. Without
// credentials, Listen must be a loopback address. All other fields may be zero.
type Config struct {
	// Listen is the address that the listener is served on, as host:port. An address that other machines can reach
	// requires credentials.
	Listen string
	// Basic and Bearer (tokens) are the credentials; a request to anything but the health checks needs one of them. If
	// both are empty, every caller on this machine is accepted.
	Basic  []access.Basic
	Bearer []string
	// Plans are the ids of the configured service plans. Batches can be registered only for these.
	Plans []string
	// Destinations are the names of the configured destinations. These cannot be purged.
	Destinations []string
	// Draining reports whether the process is shutting down; /readyz then answers 503. Nil means never.
	Draining func() bool
	// Events is the log of events that the feed shows. Nil means that there is no feed.
	Events EventLog
	// FeedMemory limits the memory for large events in the answers of the feed, in bytes, roughly; default 32 MiB.
	FeedMemory int64
	// Patience limits how long a request waits for the store; default 10 s.
	Patience time.Duration
}

// Format prints *** for every verb, since the configuration contains secrets.
func (Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalText returns ***, so that no encoder, such as encoding/json, writes a secret.
func (Config) MarshalText() ([]byte, error) { return []byte("***"), nil }

// defaultPatience is used if Config.Patience is zero: a request that waits longer for the store is answered 503.
// defaultPatience must be shorter than the WriteTimeout of the http.Server, which would cut off the answer.
const defaultPatience = 10 * time.Second

// API is the handler of the private listener: it serves the HTTP API, the metrics and the health checks. Its answers
// contain whole phone numbers. It is safe for concurrent use.
type API struct {
	config   Config
	store    Store
	failures problem.Failures
	feeds    chan struct{} // holds an element for each open answer of the feed
	memory   feedMemory
	times    feedTimes
	engine   *gin.Engine
}

//go:embed openapi.yaml
var openapiYAML []byte

//go:embed index.html
var indexHTML []byte

// New returns the API of the store s. It serves /metrics with scrape and logs failed requests to log. Without
// credentials, c.Listen must be an address that only this machine can reach. The error names the configuration key of
// the invalid value.
func New(c Config, s Store, scrape http.Handler, log *slog.Logger) (*API, error) {
	if len(c.Basic)+len(c.Bearer) == 0 && !access.Loopback(c.Listen) {
		return nil, fmt.Errorf("private.listen: other machines can reach %q and could read phone numbers there: "+
			"listen on loopback (127.0.0.1:8081), or set private.credentials", c.Listen)
	}
	a, err := access.New(c.Basic, c.Bearer)
	if err != nil {
		return nil, err
	}
	if c.Patience <= 0 {
		c.Patience = defaultPatience
	}
	if c.Draining == nil {
		c.Draining = func() bool { return false }
	}
	p := &API{
		config: c, store: s, failures: problem.Failures{Log: log},
		feeds: make(chan struct{}, maxFeeds), times: defaultFeedTimes,
		memory: newFeedMemory(cmp.Or(c.FeedMemory, defaultFeedMemory)),
	}
	p.engine, err = p.routes(a, scrape)
	if err != nil {
		return nil, fmt.Errorf("private listener: %w", err)
	}
	return p, nil
}

// Handler returns the HTTP handler that serves all routes of the private listener and checks credentials. TRACE and
// CONNECT are answered 405.
func (p *API) Handler() http.Handler { return listener.WithoutTrace(withConnection(p.engine)) }

func (p *API) routes(a *access.Access, scrape http.Handler) (*gin.Engine, error) {
	e, err := listener.NewEngine(p.failures, problem.KindInternal, nil)
	if err != nil {
		return nil, err
	}
	// Ids are opaque: an encoded slash in an id does not end the segment, and a + in a number is not a space.
	e.UseEscapedPath, e.UnescapePathValues = true, false

	guard := p.guard(a)
	e.Use(setHeaders)
	e.NoRoute(guard, func(c *gin.Context) { p.failures.Fail(c, problem.NotFound("this address")) })
	e.NoMethod(guard, func(c *gin.Context) {
		p.failures.Fail(c, &problem.Problem{Kind: problem.KindMethod, Detail: "allowed: " + c.Writer.Header().Get("Allow")})
	})

	listener.Get(e, "/healthz", p.healthz)
	listener.Get(e, "/readyz", p.readyz)

	inside := e.Group("", guard)
	listener.Get(inside, "/", p.index)
	listener.Get(inside, "/metrics", gin.WrapH(scrape))
	listener.Get(inside, "/openapi.yaml", p.openapi)

	api := inside.Group("/api/v1")
	listener.Get(api, "/batches", p.read(p.batches))
	api.POST("/plans/:plan/batches", p.register)
	listener.Get(api, "/plans/:plan/batches/:id", p.read(p.batch))
	listener.Get(api, "/plans/:plan/batches/:id/recipients", p.read(p.recipients))
	listener.Get(api, "/plans/:plan/batches/:id/recipients/:number", p.read(p.recipient))
	listener.Get(api, "/plans/:plan/batches/:id/reports", p.read(p.reports))
	listener.Get(api, "/recipients/:number", p.read(p.recipientBatches))
	api.DELETE("/recipients/:number", p.erase)
	listener.Get(api, "/feedback", p.read(p.feedback))
	api.POST("/feedback/requeue", p.requeue)
	listener.Get(api, "/inbound", p.read(p.inboundMessages))
	listener.Get(api, "/plans/:plan/inbound/:id", p.read(p.inboundMessage))
	listener.Get(api, "/destinations", p.read(p.destinations))
	listener.Get(api, "/destinations/:name/events", p.read(p.destinationEvents))
	api.POST("/destinations/:name/requeue", p.read(p.requeueDestination))
	api.DELETE("/destinations/:name", p.read(p.purgeDestination))
	listener.Get(api, "/quarantine", p.read(p.quarantine))
	listener.Get(api, "/events", p.feed)
	listener.Get(api, "/stats", p.read(p.stats))
	listener.Get(api, "/timeseries", p.read(p.timeseries))
	return e, nil
}

// setHeaders is a middleware that sets the security headers of each answer. It also copies a valid X-Request-Id from
// the request to the answer.
func setHeaders(c *gin.Context) {
	h := c.Writer.Header()
	if id := problem.RequestID(c.Request); id != "" {
		h.Set("X-Request-Id", id)
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
}

// guard returns a middleware that checks each request. Without valid credentials a request is answered 401. If no
// credentials are configured, a request is instead answered 421 if its Host header is neither an IP address nor a
// localhost name. A POST or DELETE that a browser sent for a page of another web site is answered 403.
func (p *API) guard(a *access.Access) gin.HandlerFunc {
	return func(c *gin.Context) {
		err := a.Check(c.Request)
		if errors.Is(err, access.ErrCredentials) {
			c.Writer.Header()["Www-Authenticate"] = a.Challenges()
			err = problem.Unauthorized(err.Error())
		}
		if err == nil {
			err = a.CheckOrigin(c.Request)
		}
		if err != nil {
			p.failures.Fail(c, err)
		}
	}
}
