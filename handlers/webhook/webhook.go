package webhook

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/handlers/listener"
	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/metrics"
)

// Config configures the public listener, which receives Sinch's callbacks: the service plans and the limits. A limit of
// zero means its default.
type Config struct {
	Plans []Plan

	MaxBody int64 // bytes of a body, also after decompression; default 16 MiB
	// Memory limits the bytes of all bodies in flight together. It must be at least MemoryRatio times MaxBody; a
	// quarter of Memory is reserved for small bodies. Default 256 MiB.
	Memory int64
	// ReadTimeout limits the time for a body to arrive, and how long it may stall. A body that keeps moving gets more
	// time. Default 15 s.
	ReadTimeout  time.Duration
	StoreTimeout time.Duration // for the store to make a callback durable; default 10 s
	// DiscardInbound answers inbound messages (MO) with 200 without storing them.
	DiscardInbound bool
	ShedWith429    bool // answer 429 instead of 503 if Memory is used up: Sinch then lowers its throughput
	// TrustedProxies are IP addresses and networks of proxies whose X-Forwarded-For is trusted. This header then
	// decides the client in the log and in the limits for each client. By default no proxy is trusted.
	TrustedProxies []string
}

// Plan configures the callbacks of one service plan at Sinch. Sinch must be set up to send them to the path
// /webhooks/ID, or to /webhooks/ID/TOKEN if Auth has PathTokens.
type Plan struct {
	ID   string
	Auth Auth
	// OnFailure selects the answer to callbacks that fail authentication; default RetryOnFailure.
	OnFailure OnFailure
	// KeepSignature stores with each callback the headers with which Sinch signed it (store.Arrival.Signature). Set it
	// if the store's policy for the plan has KeepCallbacks.
	KeepSignature bool
}

// OnFailure says how to answer a callback that fails authentication. The zero value means RetryOnFailure.
type OnFailure string

// The values of OnFailure, which are also those of the configuration key on_failure.
const (
	// RetryOnFailure answers 503: Sinch repeats the callback for about a day, so a wrong secret of ours only delays
	// it.
	RetryOnFailure OnFailure = "retry"
	// RejectOnFailure answers 401: Sinch never repeats the callback.
	RejectOnFailure OnFailure = "reject"
)

// bodyPatience is how long a callback waits for memory if the memory for bodies is used up. After that it is answered
// 503 or 429, and Sinch repeats it.
const bodyPatience = 250 * time.Millisecond

func (c Config) withDefaults() Config {
	c.MaxBody = cmp.Or(c.MaxBody, 16<<20)
	c.Memory = cmp.Or(c.Memory, 256<<20)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 15*time.Second)
	c.StoreTimeout = cmp.Or(c.StoreTimeout, 10*time.Second)
	return c
}

func (c Config) validate() error {
	switch {
	case c.MaxBody < 0:
		return fmt.Errorf("public.max_body: %d bytes: set a positive number", c.MaxBody)
	case c.Memory/MemoryRatio < c.MaxBody:
		return fmt.Errorf("public.memory: %d bytes are too few for a body of public.max_body, compressed and "+
			"decompressed: set at least %d",
			c.Memory, MemoryRatio*c.MaxBody)
	case c.ReadTimeout < 0 || c.StoreTimeout < 0:
		return fmt.Errorf("public: the time-outs must be positive: %s to read, %s to store",
			c.ReadTimeout, c.StoreTimeout)
	}
	return nil
}

// Webhook is the handler of the public listener, which serves only Sinch's callbacks and /healthz. If a callback cannot
// be stored, the answer makes Sinch repeat it. It is safe for concurrent use.
type Webhook struct {
	recorder     Recorder
	metrics      *metrics.Metrics
	log          *slog.Logger
	bodies       bodies
	unpacking    unpacking
	proxied      bool // trusted proxies are configured
	storeTimeout time.Duration

	discardInbound bool

	webhooks     atomic.Pointer[map[string]*endpoint] // by plan
	unknownPlans unknownPlans
	engine       *gin.Engine
}

// New returns the handler of the public listener, which stores callbacks by calling r.Record. If a value in c is
// invalid, the error names its configuration key. The handler limits only the time for reading a body, so the
// http.Server should set ReadHeaderTimeout to limit the time for the headers.
func New(c Config, r Recorder, m *metrics.Metrics, log *slog.Logger) (*Webhook, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	p := &Webhook{
		recorder: r, metrics: m, log: log, storeTimeout: c.StoreTimeout, unpacking: newUnpacking(),
		discardInbound: c.DiscardInbound,
		proxied:        len(c.TrustedProxies) > 0,
		bodies: bodies{
			limit: c.MaxBody, budget: newBudget(c.Memory), decoded: newBudget(c.Memory), patience: bodyPatience,
			timeout: c.ReadTimeout, unverified: newUnverified(),
		},
	}
	if c.ShedWith429 {
		p.bodies.shed = http.StatusTooManyRequests
	}
	if err := p.SetPlans(c.Plans); err != nil {
		return nil, err
	}
	var err error
	failures := problem.Failures{Log: log}
	if p.engine, err = listener.NewEngine(failures, problem.KindUnavailable, c.TrustedProxies); err != nil {
		return nil, fmt.Errorf("public.%w", err)
	}
	p.routes()
	return p, nil
}

// Handler returns the HTTP handler that serves /healthz and the callbacks, whose paths are below /webhooks/. TRACE and
// CONNECT are answered 405.
func (p *Webhook) Handler() http.Handler { return listener.WithoutTrace(p.engine) }

// SetPlans replaces all plans and their credentials for callbacks that arrive from now on. If a plan is invalid, it
// changes nothing, and the error names the configuration key. It may be called while callbacks are served.
func (p *Webhook) SetPlans(plans []Plan) error {
	webhooks := make(map[string]*endpoint, len(plans))
	for i, plan := range plans {
		key := fmt.Sprintf("plans[%d]", i)
		if !IsPathSegment(plan.ID) {
			return fmt.Errorf("%s.id: %q: it must be a single path segment: copy the service plan id from Sinch",
				key, plan.ID)
		}
		if webhooks[plan.ID] != nil {
			return fmt.Errorf("%s.id: %q is configured twice: remove one of them", key, plan.ID)
		}
		h, err := newEndpoint(key+".webhook.auth", plan, p.log)
		if err != nil {
			return err
		}
		webhooks[plan.ID] = h
	}
	p.webhooks.Store(&webhooks)
	return nil
}

func (p *Webhook) routes() {
	// The route matches any path, so that no callback is lost because its URL has an additional segment.
	p.engine.POST("/webhooks/*path", func(c *gin.Context) { p.callback(c, c.Param("path")) })
	listener.Get(p.engine, "/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	p.engine.NoRoute(func(c *gin.Context) {
		if c.Request.Method != http.MethodPost {
			problem.Failures{Log: p.log}.Fail(c, problem.NotFound("this address"))
			return
		}
		// gin matches no route if the path begins with several slashes.
		if path, ok := strings.CutPrefix(strings.TrimLeft(c.Request.URL.Path, "/"), "webhooks/"); ok {
			p.callback(c, path)
			return
		}
		p.unknownPlan(c, "")
	})
}
