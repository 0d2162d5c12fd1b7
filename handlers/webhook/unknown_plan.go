package webhook

import (
	"errors"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/metrics"
)

// maxUnknownPlans is how many unknown plan ids are logged one by one, since callers can invent any number of ids.
const maxUnknownPlans = 100

// unknownPlans remembers which unknown plan ids have been logged. The zero value is ready to use.
type unknownPlans struct {
	mu      sync.Mutex
	plans   map[string]struct{} // guarded by mu
	sampler problem.LogSampler  // limits the log lines once plans is full
}

// allow reports whether to log a callback for a plan id that is not configured. Each of the first 100 ids is logged
// once, all others together once every five seconds. The result unlogged is the number of callbacks that were skipped
// since the last one of those others.
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

// unknownPlan answers 503 to a callback whose URL names no configured plan. Sinch then repeats it, which leaves time to
// correct the plan id.
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
