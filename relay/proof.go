package relay

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/dlrloop/dlrloop/sinch"
)

// proofLasts is how long a success proves that Sinch knows the plan.
const proofLasts = 10 * time.Minute

var errUnknownPlan = errors.New("the plan is unknown to Sinch: correct its id, region or base_url")

// proof tells a batch that Sinch does not know from a plan that it does not know: both are answered 404. The zero value
// with a client has no proof yet.
type proof struct {
	client *sinch.Client
	missed streak
	last   atomic.Int64 // Unix nanoseconds of the last success; 0 before the first
}

// succeed notes that Sinch knows the plan.
func (p *proof) succeed() {
	p.last.Store(time.Now().UnixNano())
	p.missed.succeed()
}

// missing returns nil if a 404 is about the batch alone. Without a success in the last minutes, and when Sinch does not know
// several batches in a row, it lists the plan's batches to find out: Sinch answers 404 to that only for an unknown plan.
func (p *proof) missing(ctx context.Context, batchID string, call func(func() error) error) error {
	many := p.missed.refuse(batchID)
	if last := p.last.Load(); last != 0 && !many && time.Since(time.Unix(0, last)) < proofLasts {
		return nil
	}
	err := call(func() error {
		for _, err := range p.client.Batches(ctx, sinch.BatchesQuery{PageSize: 1}) {
			return err
		}
		return nil
	})
	answer, answered := errors.AsType[*sinch.Error](err)
	switch {
	case missing(err):
		return errUnknownPlan
	case err == nil, answered && !answer.Page && answer.HTTPStatus < 300:
		p.succeed()
		return nil
	}
	return err
}
