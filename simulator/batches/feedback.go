package batches

import (
	"net/http"
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// Feedback applies delivery feedback to the given recipients of a batch, or to all of its recipients if none are given.
// The recipients must be digits only. Recipients that are not in the batch are returned as unknown, without an error.
// Feedback returns an *xms.Error if the batch is unknown or has no feedback enabled. Without recipients, it also
// returns an *xms.Error if the batch was sent to a group.
func (p *Plan) Feedback(id string, recipients []string, now time.Time) (unknown []string, err error) {
	p.store.mu.Lock()
	defer p.store.unlock()
	b, err := p.find(id, now)
	if err != nil {
		return nil, err
	}
	if !b.request.WantsFeedback() {
		return nil, xms.WithoutBody(http.StatusNotFound)
	}
	if len(recipients) == 0 {
		if b.grouped {
			return nil, xms.Violation("recipients must name at least one recipient of a batch sent to a group")
		}
		for i := range b.recipients {
			b.recipients[i].applied++
		}
	}
	for _, number := range recipients {
		if i, ok := b.index[number]; ok {
			b.recipients[i].applied++
		} else {
			unknown = append(unknown, number)
		}
	}
	return unknown, nil
}
