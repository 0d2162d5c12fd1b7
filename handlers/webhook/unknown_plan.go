package webhook

import (
	"errors"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/metrics"
)

// maxUnknownPlans limits how many ids of plans that are not configured are logged, since callers may invent any number.
const maxUnknownPlans = 100

// unknownPlans holds the ids of plans that are not configured and were logged. The zero value is ready to use.
type unknownPlans struct {
	mu      sync.Mutex
	plans   map[string]struct{} // guarded by mu
	sampler problem.LogSampler  // limits the log lines once plans is full
}

// allow reports whether to log a callback for an id that is not configured. It allows one callback for each of the
// first maxUnknownPlans ids. For all other ids together it allows one every problem.LogEvery; unlogged is then the
// number of callbacks that were not logged since the previous one.
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

// unknownPlan answers a callback for a plan that is not configured, or for a path outside of /webhooks/. Perhaps the
// plan id is misspelled, in the configuration or in the callback URL at Sinch. The answer is 503, so Sinch repeats the
// callback long enough for somebody to correct that.
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
