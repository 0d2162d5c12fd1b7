package relay

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// planKnownFor is how long a successful call proves that Sinch knows the plan.
const planKnownFor = 10 * time.Minute

// batchRetention is how long Sinch keeps a batch, and therefore how far back a listing reaches.
const batchRetention = 14 * 24 * time.Hour

var (
	errUnknownPlan = errors.New("the plan is unknown to Sinch: check its id, region and base_url")
	errNoBatches   = errors.New("the batch is unknown to Sinch, which lists no other batch of the plan: " +
		"check the plan's id, region and base_url")
)

// UnknownPlan reports whether err is a 404 that the plan's configuration may have caused.
func UnknownPlan(err error) bool {
	return errors.Is(err, errUnknownPlan) || errors.Is(err, errNoBatches)
}

// PlanCheck finds out what a 404 means: an unknown batch or a wrongly configured plan. Sinch answers 404 to both. A
// PlanCheck needs only its Client; it is safe for concurrent use.
type PlanCheck struct {
	Client  *sinch.Client
	unknown Streak       // batches that Sinch answered with 404
	last    atomic.Int64 // Unix nanoseconds of the last success; 0 before the first
}

// Succeeded records that Sinch knows a batch of the plan.
func (p *PlanCheck) Succeeded() {
	p.last.Store(time.Now().UnixNano())
	p.unknown.Succeed()
}

// Check404 returns nil if a 404 for batchID concerns the batch alone. If there was no success in the last minutes, or
// Sinch answered 404 for several batches in a row, Check404 lists the plan's batches through call. Only a listing that
// contains a batch proves that the plan is right: Sinch may answer with an empty one if the plan belongs to another
// region or is another plan of the account. Without proof it returns errUnknownPlan or errNoBatches; an error of the
// listing itself is returned as it is.
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

// definiteAnswer reports whether err is a definite answer to a listing: a refusal, or a success that is not a list.
// Retrying would give the same answer.
func definiteAnswer(err error) bool {
	answer, answered := errors.AsType[*sinch.Error](err)
	return answered && !answer.Page && answer.HTTPStatus < 300 || ReasonOf(err) == store.ReasonRejected
}
