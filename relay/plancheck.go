package relay

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// planKnownFor is how long after a successful call a PlanCheck assumes that the id and the region of the service plan
// are right.
const planKnownFor = 10 * time.Minute

// batchRetention is how long Sinch keeps a batch. A PlanCheck asks Sinch for the batches sent within this time; if
// Sinch lists one, the service plan is configured correctly.
const batchRetention = 14 * 24 * time.Hour

var (
	errUnknownPlan = errors.New("the plan is unknown to Sinch: check its id, region and base_url")
	errNoBatches   = errors.New("the batch is unknown to Sinch, which lists no other batch of the plan: " +
		"check the plan's id, region and base_url")
)

// UnknownPlan reports whether err, returned by PlanCheck.Check404, means that the id, region or base URL of a service
// plan may be wrong. It returns false for nil.
func UnknownPlan(err error) bool {
	return errors.Is(err, errUnknownPlan) || errors.Is(err, errNoBatches)
}

// PlanCheck finds out whether a 404 of Sinch means that a batch is unknown or that the service plan is misconfigured.
// Set Client to the plan's client; the other fields start at zero. It is safe for concurrent use.
type PlanCheck struct {
	Client  *sinch.Client
	unknown Streak       // batches that Sinch answered with 404
	last    atomic.Int64 // Unix nanoseconds of the last success; 0 before the first
}

// Succeeded records that Sinch accepted a call for the service plan. So the plan is configured correctly, and a later
// 404 concerns only a batch.
func (p *PlanCheck) Succeeded() {
	p.last.Store(time.Now().UnixNano())
	p.unknown.Succeed()
}

// Check404 finds out what a 404 for a batch means. It returns nil if only the batch is unknown to Sinch. It assumes
// this without a request if a call succeeded within planKnownFor and fewer than refusalLimit different batches in a row
// got a 404. Otherwise it lists the plan's batches at Sinch. If Sinch refuses or lists none, UnknownPlan is true for
// the returned error. Any other error means that Sinch gave no definite answer. call must run its argument, which makes
// a request to Sinch, and return the argument's error.
func (p *PlanCheck) Check404(ctx context.Context, batchID string, call func(func() error) error) error {
	many := p.unknown.Refuse(batchID)
	if last := p.last.Load(); last != 0 && !many && time.Since(time.Unix(0, last)) < planKnownFor {
		return nil
	}
	found := false
	err := call(func() error {
		query := sinch.BatchesQuery{PageSize: 1, Start: time.Now().Add(-batchRetention)}
		for _, err := range p.Client.Batches(ctx, query) {
			entry, listed := errors.AsType[*sinch.EntryError](err)
			if listed {
				found = entry.BatchID != ""
				return nil
			}
			found = err == nil
			return err
		}
		return nil
	})
	switch {
	case found:
		p.Succeeded()
		return nil
	case IsNotFound(err):
		return errUnknownPlan
	case err == nil, definiteAnswer(err):
		return errNoBatches
	}
	return err
}

// definiteAnswer reports whether a call that lists batches, and failed with err, would fail again in the same way:
// Sinch refused the call, or answered 2xx with something that is not a list.
func definiteAnswer(err error) bool {
	answer, answered := errors.AsType[*sinch.Error](err)
	return answered && !answer.Page && answer.HTTPStatus < 300 || ReasonOf(err) == store.ReasonRejected
}
