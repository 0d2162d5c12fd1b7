package handlers

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
)

// PublicConfig says whose callbacks are taken, and bounds them. Zero members get the defaults.
type PublicConfig struct {
	Plans []PublicPlan

	MaxBody      int64         // bytes of a body, compressed or not; default 16 MiB
	Memory       int64         // bytes of all bodies in flight, at least four times MaxBody; a quarter is kept for small ones. Default 256 MiB
	ReadTimeout  time.Duration // for a body to arrive, and longer while it moves; none stands still for longer. Default 15 s
	StoreTimeout time.Duration // for the store to have made a callback durable; default 10 s
	ShedWith429  bool          // answer 429, not 503, when Memory is used up: Sinch then lowers its throughput
	// TrustedProxies are addresses and networks whose X-Forwarded-For is believed: in the log, and where clients share something
	// evenly. None by default.
	TrustedProxies []string
}

// PublicPlan is a plan whose callbacks are taken.
type PublicPlan struct {
	ID   string
	Auth Auth
	// OnFailure is what becomes of callbacks that do not verify; RetryOnFailure by default.
	OnFailure OnFailure
}

// OnFailure says how a callback is answered whose credentials do not verify.
type OnFailure string

// The answers.
const (
	RetryOnFailure  OnFailure = "retry"  // 503: Sinch repeats it for about a day, so that a wrong secret of ours costs only time
	RejectOnFailure OnFailure = "reject" // 401: Sinch never sends it again
)

// bodyPatience is how long a callback waits for memory before it is refused. Longer, and those that wait would pile up.
const bodyPatience = 250 * time.Millisecond

func (c PublicConfig) withDefaults() PublicConfig {
	c.MaxBody = cmp.Or(c.MaxBody, 16<<20)
	c.Memory = cmp.Or(c.Memory, 256<<20)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 15*time.Second)
	c.StoreTimeout = cmp.Or(c.StoreTimeout, 10*time.Second)
	return c
}

func (c PublicConfig) validate() error {
	switch {
	case c.MaxBody < 0:
		return fmt.Errorf("public.max_body: %d bytes: set it above zero", c.MaxBody)
	case c.Memory/leastMemory < c.MaxBody:
		return fmt.Errorf("public.memory: %d bytes are not enough for one body of public.max_body, compressed and not: set at least %d",
			c.Memory, leastMemory*c.MaxBody)
	case c.ReadTimeout < 0 || c.StoreTimeout < 0:
		return fmt.Errorf("public: the time-outs must be above zero: %s to read, %s to store", c.ReadTimeout, c.StoreTimeout)
	}
	return nil
}

// Public is the listener that Sinch calls. It serves the webhook and /healthz, and answers so that no report is lost by a
// fault of ours: docs/problems.md says what Sinch makes of each answer.
type Public struct {
	store        store.Store
	metrics      *metrics.Metrics
	log          *slog.Logger
	bodies       bodies
	unpacking    unpacking
	proxied      bool // some proxies are trusted
	storeTimeout time.Duration
	webhooks     atomic.Pointer[map[string]*webhook] // by plan
	unknownPlans unknownPlans
	engine       *gin.Engine
}

// NewPublic returns the public listener over s. It refuses a configuration that would let anybody in who is not meant to be.
// The http.Server that serves it should bound the reading of the head; the body is bounded here.
func NewPublic(c PublicConfig, s store.Store, m *metrics.Metrics, log *slog.Logger) (*Public, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, err
	}
	p := &Public{
		store: s, metrics: m, log: log, storeTimeout: c.StoreTimeout, unpacking: newUnpacking(),
		proxied: len(c.TrustedProxies) > 0,
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
	if p.engine, err = newEngine(failures{log}, kindUnavailable, c.TrustedProxies); err != nil {
		return nil, fmt.Errorf("public.%w", err)
	}
	p.routes()
	return p, nil
}

// Handler is what the listener serves.
func (p *Public) Handler() http.Handler { return withoutTrace(p.engine) }

// SetPlans changes the plans and their credentials: callbacks that come in from now on are verified by them. On an error
// nothing changes.
func (p *Public) SetPlans(plans []PublicPlan) error {
	webhooks := make(map[string]*webhook, len(plans))
	for i, plan := range plans {
		key := fmt.Sprintf("plans[%d]", i)
		if plan.ID == "" || strings.Contains(plan.ID, "/") {
			return fmt.Errorf("%s.id: %q: it must be one segment of a path: copy the service plan id as Sinch shows it", key, plan.ID)
		}
		if webhooks[plan.ID] != nil {
			return fmt.Errorf("%s.id: %q is there twice: remove one of them", key, plan.ID)
		}
		h, err := newWebhook(key+".webhook.auth", plan, p.log)
		if err != nil {
			return err
		}
		webhooks[plan.ID] = h
	}
	p.webhooks.Store(&webhooks)
	return nil
}

func (p *Public) routes() {
	// One route for whatever follows: no callback shall be lost because its URL has a segment too many.
	p.engine.POST("/webhooks/*path", func(c *gin.Context) { p.callback(c, c.Param("path")) })
	get(p.engine, "/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	p.engine.NoRoute(func(c *gin.Context) {
		if c.Request.Method != http.MethodPost {
			failures{p.log}.fail(c, notFound("this address"))
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
