package simulator

import (
	"net/http"
	"time"
)

// maxFeedback bounds the recipients of one feedback call. Sinch publishes no bound; this is the one of to.
const maxFeedback = 1000

// FeedbackCall is one call that brought delivery feedback, whatever it was answered.
type FeedbackCall struct {
	Ordinal    int       `json:"ordinal"` // from 1
	At         time.Time `json:"at"`
	Plan       string    `json:"plan"`
	Batch      string    `json:"batch"`
	Recipients []string  `json:"recipients,omitempty"` // digits, each once, in the order of the call
	Everyone   bool      `json:"everyone,omitempty"`   // the call said [], every recipient of the batch
	Strangers  []string  `json:"strangers,omitempty"`  // recipients that are not in the batch
	Status     int       `json:"status"`               // answered; 0 if nothing was
	Applied    bool      `json:"applied"`              // took effect, whatever was answered
	Fault      FaultKind `json:"fault,omitempty"`
}

// read takes the recipients from the body of a call.
func (f *FeedbackCall) read(body []byte) error {
	var said struct {
		Recipients *[]string `json:"recipients"`
	}
	if err := decode(body, &said); err != nil {
		return err
	}
	if said.Recipients == nil {
		return violation("recipients is missing")
	}
	if len(*said.Recipients) > maxFeedback {
		return violation("recipients must have at most %d elements", maxFeedback)
	}
	seen := make(map[string]bool, len(*said.Recipients))
	var numbers []string
	for _, written := range *said.Recipients {
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

// takeFeedback applies delivery feedback. A number outside the batch is accepted and noted: Sinch documents no refusal.
func (s *Simulator) takeFeedback(c *call) (any, error) {
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
		return nil, bare(http.StatusNotFound)
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

// enterFeedback puts the call in the ledger.
func (s *Simulator) enterFeedback(c *call, status int, fault FaultKind) {
	f := c.feedback
	f.Ordinal = len(s.feedback) + 1
	f.At, f.Plan, f.Batch = c.started.UTC(), c.plan.ID, c.batchID()
	f.Status, f.Fault = status, fault
	s.feedback = append(s.feedback, *f)
	s.tell(Event{
		Kind: FeedbackReceived, Plan: f.Plan, Batch: f.Batch, Operation: OpFeedback, Answer: status, Fault: fault,
		Count: len(f.Recipients), Applied: f.Applied,
	})
}
