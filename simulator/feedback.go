package simulator

import (
	"net/http"
	"time"
)

// maxFeedback is the largest number of recipients in one feedback call. Sinch documents no limit; this is the limit
// of to.
const maxFeedback = 1000

// FeedbackCall is one delivery feedback call, whatever the answer.
type FeedbackCall struct {
	Ordinal    int       `json:"ordinal"` // from 1
	At         time.Time `json:"at"`
	Plan       string    `json:"plan"`
	Batch      string    `json:"batch"`
	Recipients []string  `json:"recipients,omitempty"` // digits, each once, in the order of the call
	Everyone   bool      `json:"everyone,omitempty"`   // recipients was [], which means every recipient of the batch
	Strangers  []string  `json:"strangers,omitempty"`  // numbers that are not in the batch
	Status     int       `json:"status"`               // HTTP status of the answer; 0 if there was none
	Applied    bool      `json:"applied"`              // the feedback took effect, whatever the answer
	Fault      FaultKind `json:"fault,omitempty"`
}

// read parses the recipients from the body of a call.
func (f *FeedbackCall) read(body []byte) error {
	var request struct {
		Recipients *[]string `json:"recipients"`
	}
	if err := decode(body, &request); err != nil {
		return err
	}
	if request.Recipients == nil {
		return violation("recipients is missing")
	}
	if len(*request.Recipients) > maxFeedback {
		return violation("recipients must have at most %d elements", maxFeedback)
	}
	seen := make(map[string]bool, len(*request.Recipients))
	var numbers []string
	for _, written := range *request.Recipients {
		number, ok := digits(written)
		if !ok {
			return invalidFormat(written, "number")
		}
		if !seen[number] {
			seen[number] = true
			numbers = append(numbers, number)
		}
	}
	f.Recipients, f.Everyone = numbers, len(numbers) == 0
	return nil
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
	if !b.wantsFeedback() {
		return nil, withoutBody(http.StatusNotFound)
	}
	if c.feedback.Everyone && b.grouped {
		return nil, violation("recipients must name at least one recipient of a batch sent to a group")
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
func (s *Simulator) recordFeedback(c *call, status int, fault FaultKind) {
	f := c.feedback
	f.Ordinal = len(s.feedback) + 1
	f.At, f.Plan, f.Batch = c.started.UTC(), c.plan.ID, c.batchID()
	f.Status, f.Fault = status, fault
	s.feedback = append(s.feedback, *f)
	s.emit(Event{
		Kind: FeedbackReceived, Plan: f.Plan, Batch: f.Batch, Operation: OpFeedback, Answer: status, Fault: fault,
		Count: len(f.Recipients), Applied: f.Applied,
	})
}
