package webhook

import (
	"errors"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/metrics"
)

// maxUnknownPlans is how many different unknown plan ids get a log line each. Callers can invent any number of ids, so
// callbacks for further ones share a limited number of lines.
const maxUnknownPlans = 100

// unknownPlans decides which callbacks for unknown plan ids to log. The zero value is ready to use. It is safe for
// concurrent use.
type unknownPlans struct {
	mu      sync.Mutex
	plans   map[string]struct{} // guarded by mu
	sampler problem.LogSampler  // limits the log lines once plans is full
}

// allow reports whether to log a callback for a plan id that is not configured. Each of the first 100 ids is logged
// once. All further ids together get one log line every five seconds; unlogged is how many of their callbacks were not
// logged since the previous such line.
func (u *unknownPlans) allow(plan string) (unlogged int64, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, logged := u.plans[plan]; logged {
		return 0, false
	}
	if len(u.plans) >= maxUnknownPlans {
		return u.sampler.Allow(problem.KindUnknownWebhook)
	}
	if u.plans == nil {
		u.plans = make(map[string]struct{})
	}
	u.plans[plan] = struct{}{}
	return 0, true
}

// unknownPlan answers 503 to a callback whose URL names no configured plan. Sinch then repeats the callback, which
// leaves time to correct the configuration.
func (p *Webhook) unknownPlan(c *gin.Context, plan string) {
	begun := time.Now()
	plan = plan[:min(len(plan), 64)]
	refused := &problem.Problem{
		Kind: problem.KindUnknownWebhook, Detail: "no plan is configured for this path",
		Cause: errors.New("add the plan under plans, or correct the callback URL at Sinch: its path is /webhooks/PLAN"),
	}
	id := refused.Answer(c)
	if unlogged, ok := p.unknownPlans.allow(plan); ok {
		problem.Failures{Log: p.log.With("plan", plan)}.Report(c, refused, id, unlogged)
	}
	p.metrics.Callback(plan, "", metrics.UnknownPlan, time.Since(begun))
}
