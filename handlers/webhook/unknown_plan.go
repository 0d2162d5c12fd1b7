package webhook

import (
	"errors"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/metrics"
)

// maxUnknownPlans limits how many plan ids that are not configured are logged, since callers can invent any number.
const maxUnknownPlans = 100

// unknownPlans holds the plan ids that were logged because they are not configured. The zero value is ready to use.
type unknownPlans struct {
	mu      sync.Mutex
	plans   map[string]struct{} // guarded by mu
	sampler problem.LogSampler  // limits the log lines once plans is full
}

// allow reports whether to log a callback for a plan id that is not configured. It allows one callback for each of the
// first 100 ids (maxUnknownPlans). For all other ids together it allows one every five seconds; unlogged is the number
// of callbacks skipped since the previous one.
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

// unknownPlan answers 503 to a callback whose URL names no configured plan. Sinch then repeats it, so that somebody can
// correct the plan id meanwhile.
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
