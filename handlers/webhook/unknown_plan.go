package webhook

import (
	"errors"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/metrics"
)

// maxUnknownPlans limits how many unconfigured plan ids are logged, since callers may invent any number of ids.
const maxUnknownPlans = 100

// unknownPlans is the set of logged plan ids that are not configured. The zero value is an empty set.
type unknownPlans struct {
	mu      sync.Mutex
	plans   map[string]struct{} // guarded by mu
	sampler problem.LogSampler  // limits the log lines once plans is full
}

// allow reports whether to log a callback for plan, an id that is not configured. The first callback for each id is
// logged. After maxUnknownPlans ids only one callback every problem.LogEvery is logged, and unlogged is the number of
// those left out before it.
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

// unknownPlan answers a callback for a plan that is not configured, or for a path outside of /webhooks/. The plan id
// may be misspelled in our configuration or in the callback URL at Sinch. The answer is 503, so that Sinch repeats the
// callback for long enough to correct that.
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
