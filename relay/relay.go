package relay

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"

	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
)

// Relay relays the feedback of all plans.
type Relay struct {
	lanes []*lane
}

// New makes a relay. An error names the plan and the member of its configuration that is wrong.
func New(c Config, s store.Store, m *metrics.Metrics, log *slog.Logger) (*Relay, error) {
	random := c.Rand
	if random == nil {
		random = rand.Float64
	}
	r := &Relay{}
	seen := make(map[string]bool)
	for i, p := range c.Plans {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("relay: plan %q (number %d): %w", p.ID, i+1, err)
		}
		if seen[p.ID] {
			return nil, fmt.Errorf("relay: plan %q (number %d): it is there twice", p.ID, i+1)
		}
		seen[p.ID] = true
		r.lanes = append(r.lanes, newLane(p.withDefaults(), s, m, log.With("plan", p.ID), random))
	}
	return r, nil
}

// Folded is an observer of the store (store.Observer): a requeue ends the pause of its plan on the replica that folds it.
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
			default: // it is told already
			}
		}
	}
}

// Run relays until ctx ends, and returns nil then: once no call is in flight and every claim is settled. Calls in flight
// get CallGrace to finish, so that an answer already on its way is not lost; what is not finished then is given back.
// Settling takes as long as the store needs, but no longer than Lease. A store that was closed ends Run with
// store.ErrClosed.
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
