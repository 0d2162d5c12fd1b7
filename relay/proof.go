package relay

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// proofLasts is how long a success proves that Sinch knows the plan.
const proofLasts = 10 * time.Minute

// kept is how long Sinch keeps a batch, and so how far back a listing of the plan goes.
const kept = 14 * 24 * time.Hour

var (
	errUnknownPlan = errors.New("the plan is unknown to Sinch: check its id, region and base_url")
	errNoBatches   = errors.New("the batch is unknown to Sinch, which lists no other batch of the plan: check its id, region and base_url")
)

// unproven reports whether a 404 may be the fault of the plan's configuration.
func unproven(err error) bool { return errors.Is(err, errUnknownPlan) || errors.Is(err, errNoBatches) }

// proof tells a batch that Sinch does not know from a plan that is configured wrongly: Sinch answers 404 to both. The zero
// value with a client has no proof yet.
type proof struct {
	client *sinch.Client
	missed streak
	last   atomic.Int64 // Unix nanoseconds of the last success; 0 before the first
}

// succeed notes that Sinch knows a batch of the plan.
func (p *proof) succeed() {
	p.last.Store(time.Now().UnixNano())
	p.missed.succeed()
}

// missing returns nil if a 404 is about the batch alone. Without a success in the last minutes, and when Sinch does not know
// several batches in a row, it lists the plan's batches to find out. Only a listing with a batch in it proves that the plan
// is right. An empty one does not: a plan of another region, or another plan of the account, may be answered so.
func (p *proof) missing(ctx context.Context, batchID string, call func(func() error) error) error {
	many := p.missed.refuse(batchID)
	if last := p.last.Load(); last != 0 && !many && time.Since(time.Unix(0, last)) < proofLasts {
		return nil
	}
	found := false
	err := call(func() error {
		query := sinch.BatchesQuery{PageSize: 1, Start: time.Now().Add(-kept)}
		for _, err := range p.client.Batches(ctx, query) {
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
		p.succeed()
		return nil
	case missing(err):
		return errUnknownPlan
	case err == nil, definite(err):
		return errNoBatches
	}
	return err
}

// definite reports whether a listing was answered, with something that is not a list or with a refusal. Trying again
// brings the same answer.
func definite(err error) bool {
	answer, answered := errors.AsType[*sinch.Error](err)
	return answered && !answer.Page && answer.HTTPStatus < 300 || reasonOf(err) == store.ReasonRejected
}
