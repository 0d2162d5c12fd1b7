package feedback

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
)

// Store is the part of store.Store that a Relay uses. Claim leases feedback tasks, Record stores what was fetched for
// them, and Settle stores their results.
type Store interface {
	Claim(ctx context.Context, plan string, now time.Time, lease time.Duration, limit int) ([]store.Claim, error)
	Record(ctx context.Context, a store.Arrival) error
	Settle(ctx context.Context, plan string, at time.Time, s store.Settlement) error
}

// Relay sends delivery feedback for all configured service plans: it tells Sinch which recipients received a message.
// New creates a Relay, and Run runs it once.
type Relay struct {
	lanes []*lane
}

// New returns a Relay that sends the feedback tasks in the store s, counts in m and logs to log. It starts no
// goroutine. If a plan is configured wrongly or twice, the error names the plan.
func New(c Config, s Store, m *metrics.Metrics, log *slog.Logger) (*Relay, error) {
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
	if c.QuotaShare == nil {
		c.QuotaShare = func() float64 { return 1 }
	}
	r := &Relay{}
	configured := make(map[string]bool)
	for i, p := range c.Plans {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("feedback: plan %q (number %d): %w", p.ID, i+1, err)
		}
		if configured[p.ID] {
			return nil, fmt.Errorf("feedback: plan %q (number %d): it is configured twice", p.ID, i+1)
		}
		configured[p.ID] = true
		r.lanes = append(r.lanes, newLane(p.withDefaults(), c, s, m, log.With("plan", p.ID)))
	}
	return r, nil
}

// Folded tells the relay what has changed in the store's batches; the store's Observer must call it after each commit.
// If an operator has requeued feedback of a service plan (Changes.SendNow), the relay ends the current pause of calls
// for this plan and claims its tasks again. Folded does not block and does not keep the slice.
func (r *Relay) Folded(changes []store.Changes) {
	for _, c := range changes {
		if !c.SendNow {
			continue
		}
		for _, l := range r.lanes {
			if l.plan.ID != c.Plan {
				continue
			}
			select {
			case l.sendNow <- struct{}{}:
			default: // the signal is already pending
			}
		}
	}
}

// Run sends feedback until ctx ends. Calls in flight may then go on for Plan.CallGrace before they are canceled. Run
// waits until the results of these calls are recorded, but for each task at most until its lease ends (Plan.Lease after
// the claim), and returns nil. If the store is closed, Run returns an error that wraps store.ErrClosed.
func (r *Relay) Run(ctx context.Context) error {
	lanes, ctx := errgroup.WithContext(ctx)
	lanes.Go(func() error {
		<-ctx.Done()
		return nil
	})
	for _, l := range r.lanes {
		lanes.Go(func() error { return l.run(ctx) })
	}
	return lanes.Wait()
}
