package simulator

import (
	"net/http"
	"time"

	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// FeedbackCall is one delivery feedback call, whatever the answer.
type FeedbackCall struct {
	Ordinal    int        `json:"ordinal"` // from 1
	At         time.Time  `json:"at"`
	Plan       string     `json:"plan"`
	Batch      string     `json:"batch"`
	Recipients []string   `json:"recipients,omitempty"` // digits, each once, in the order of the call
	Everyone   bool       `json:"everyone,omitempty"`   // recipients was [], which means every recipient of the batch
	Strangers  []string   `json:"strangers,omitempty"`  // numbers that are not in the batch
	Status     int        `json:"status"`               // HTTP status of the answer; 0 if there was none
	Applied    bool       `json:"applied"`              // the feedback took effect, whatever the answer
	Fault      fault.Kind `json:"fault,omitempty"`
}

// read parses the recipients from the body of a call.
func (f *FeedbackCall) read(body []byte) (err error) {
	f.Recipients, err = xms.ReadFeedback(body)
	f.Everyone = err == nil && len(f.Recipients) == 0
	return err
}

// applyFeedback applies delivery feedback. A number outside the batch is accepted and recorded: Sinch documents no
// error for it.
func (s *Simulator) applyFeedback(c *call) (any, error) {
	if err := c.feedback.read(c.body); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.unlock()
	b, err := s.find(c)
	if err != nil {
		return nil, err
	}
	if !b.request.WantsFeedback() {
		return nil, xms.WithoutBody(http.StatusNotFound)
	}
	if c.feedback.Everyone && b.grouped {
		return nil, xms.Violation("recipients must name at least one recipient of a batch sent to a group")
	}
	c.feedback.Applied = true
	if c.feedback.Everyone {
		for i := range b.recipients {
			b.recipients[i].applied++
		}
	}
	for _, number := range c.feedback.Recipients {
		if i, ok := b.index[number]; ok {
			b.recipients[i].applied++
		} else {
			c.feedback.Strangers = append(c.feedback.Strangers, number)
		}
	}
	return nil, nil
}

// recordFeedback adds the feedback call to the ledger.
func (s *Simulator) recordFeedback(c *call, status int, kind fault.Kind) {
	f := c.feedback
	f.Ordinal = len(s.feedback) + 1
	f.At, f.Plan, f.Batch = c.started.UTC(), c.plan.ID, c.batchID()
	f.Status, f.Fault = status, kind
	s.feedback = append(s.feedback, *f)
	s.emit(Event{
		Kind: FeedbackReceived, Plan: f.Plan, Batch: f.Batch, Operation: fault.OpFeedback, Answer: status, Fault: kind,
		Count: len(f.Recipients), Applied: f.Applied,
	})
}
