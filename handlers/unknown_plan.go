package handlers

import (
	"errors"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/metrics"
)

// maxUnknownPlans bounds how many unknown plans are logged of by name: anybody may make them up.
const maxUnknownPlans = 100

// strangers remembers the unknown plans that callbacks came for.
type unknownPlans struct {
	mu      sync.Mutex
	plans   map[string]struct{} // guarded by mu
	sampler logSampler          // when there are too many
}

// log reports whether to log a callback for this plan.
func (u *unknownPlans) allow(plan string) (unlogged int64, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, logged := u.plans[plan]; logged {
		return 0, false
	}
	if len(u.plans) >= maxUnknownPlans {
		return u.sampler.allow(kindUnknownWebhook)
	}
	if u.plans == nil {
		u.plans = make(map[string]struct{})
	}
	u.plans[plan] = struct{}{}
	return 0, true
}

// stranger answers a callback for a plan that is not configured, or at no webhook's path. It may be a plan's id misspelt, here or
// in the URL that Sinch was given; so Sinch is asked to repeat it, which it does for long enough to correct that.
func (p *Public) unknownPlan(c *gin.Context, plan string) {
	begun := time.Now()
	plan = plan[:min(len(plan), 64)]
	refused := &problem{
		kind: kindUnknownWebhook, detail: "no service plan is configured for this path",
		cause: errors.New("add the plan under plans, or correct the callback URL at Sinch: it ends in /webhooks/ and the plan's id"),
	}
	id := refused.answer(c)
	if unlogged, ok := p.unknownPlans.allow(plan); ok {
		failures{p.log.With("plan", plan)}.report(c, refused, id, unlogged)
	}
	p.metrics.Callback(plan, "", metrics.UnknownPlan, time.Since(begun))
}
