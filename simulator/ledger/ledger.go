package ledger

import (
	"cmp"
	"slices"
	"time"
)

// Ledger is a record of all batches, callbacks and delivery feedback of the simulator. Tests compare it with the
// records of the customer's software.
type Ledger struct {
	Batches   []Batch        `json:"batches"`   // in the order of sending
	Callbacks []Callback     `json:"callbacks"` // by ordinal
	Feedback  []FeedbackCall `json:"feedback"`  // by ordinal
}

// Batch is the record of one batch, with the present state of its recipients.
type Batch struct {
	Plan            string      `json:"plan"`
	ID              string      `json:"id"`
	FeedbackEnabled bool        `json:"feedback_enabled"` // present value; fixed once the batch is dispatched
	Report          string      `json:"delivery_report"`
	ClientReference string      `json:"client_reference,omitempty"`
	Waiting         bool        `json:"waiting,omitempty"`  // not dispatched yet: send_at is in the future
	Canceled        bool        `json:"canceled,omitempty"` // a batch cancelled before dispatch has no recipients
	Updated         int         `json:"updated,omitempty"`  // number of updates
	Replaced        int         `json:"replaced,omitempty"` // number of replacements
	Recipients      []Recipient `json:"recipients"`
}

// Recipient is the true state of the message to one recipient of a batch, whether or not a callback has reported it.
type Recipient struct {
	Recipient string    `json:"recipient"` // digits
	Status    string    `json:"status"`
	Code      int       `json:"code"`
	Final     bool      `json:"final"`
	At        time.Time `json:"at"`
	Feedback  int       `json:"feedback"` // number of times that feedback was applied
}

// Callback is the record of one callback and of all HTTP requests that tried to deliver it. Fields that do not apply to
// its type are zero.
type Callback struct {
	Ordinal    int       `json:"ordinal"` // from 1
	Plan       string    `json:"plan"`
	Batch      string    `json:"batch,omitempty"`
	Type       string    `json:"type"`
	Recipients []string  `json:"recipients,omitempty"` // digits; empty for a summary
	Status     string    `json:"status,omitempty"`     // of a recipient report
	Code       int       `json:"code"`
	Inbound    *Inbound  `json:"inbound,omitempty"` // of a message from a phone
	Result     Result    `json:"result"`
	Attempts   []Attempt `json:"attempts"`
}

// Inbound describes the message from a phone (MO) that a Callback is about. The type and the sender are in the
// Callback.
type Inbound struct {
	ID         string    `json:"id"`
	To         string    `json:"to"`
	Text       string    `json:"text,omitempty"`    // of an mo_text
	Answers    string    `json:"answers,omitempty"` // the batch that the message is a reply to
	ReceivedAt time.Time `json:"received_at"`
}

// Attempt is one HTTP request that sent a callback. Attempts after the first 2xx answer occur only if the anomaly
// "repeated" makes the simulator send the callback again.
type Attempt struct {
	At      time.Time `json:"at"`
	Status  int       `json:"status"` // HTTP status; 0 if there was no answer
	Failure string    `json:"failure,omitempty"`
}

// Result says what has become of a callback so far, for example "pending" or "acknowledged".
type Result string

// The values of Result. Only Pending can change later.
const (
	Pending      Result = "pending"      // will be sent or retried
	Acknowledged Result = "acknowledged" // answered 2xx at least once
	GaveUp       Result = "gave_up"      // answered with a 4xx other than 429, or all retries failed
	Lost         Result = "lost"         // never sent, by an anomaly or a planned outcome
)

// BatchRecipient identifies one message by its batch and its recipient. Batch ids are unique across plans.
type BatchRecipient struct {
	Batch     string `json:"batch"`
	Recipient string `json:"recipient"` // digits
}

// AcknowledgedInbound returns the callbacks about messages from phones that the customer answered 2xx, in the order of
// l.Callbacks. The customer must have stored each of these messages once, however often its callback was sent.
func (l Ledger) AcknowledgedInbound() []Callback {
	var acknowledged []Callback
	for _, c := range l.Callbacks {
		if c.Inbound != nil && c.Result == Acknowledged {
			acknowledged = append(acknowledged, c)
		}
	}
	return acknowledged
}

// delivered is the only delivery status that a customer must confirm with feedback.
const delivered = "Delivered"

// OwedFeedback returns the messages that the customer must confirm with delivery feedback; all map values are true. A
// message must be confirmed if its batch has feedback enabled and the customer answered 2xx to a callback that reported
// the message Delivered. A summary or full report counts as such a callback for every delivered message of the batch.
func (l Ledger) OwedFeedback() map[BatchRecipient]bool {
	batches := make(map[string]*Batch, len(l.Batches))
	for i := range l.Batches {
		batches[l.Batches[i].ID] = &l.Batches[i]
	}
	owed := map[BatchRecipient]bool{}
	for _, c := range l.Callbacks {
		b := batches[c.Batch]
		if c.Result != Acknowledged || b == nil || !b.FeedbackEnabled {
			continue
		}
		if c.Status != "" {
			if c.Status == delivered {
				owed[BatchRecipient{b.ID, c.Recipients[0]}] = true
			}
			continue
		}
		for _, r := range b.Recipients { // also for a summary: the customer can read the full report after it
			if r.Final && r.Status == delivered {
				owed[BatchRecipient{b.ID, r.Recipient}] = true
			}
		}
	}
	return owed
}

// AppliedFeedback returns how many times feedback took effect for each pair of batch and phone number. A pair without
// such feedback is not in the map. Numbers to which the batch was not sent are counted too, since the API accepts them.
func (l Ledger) AppliedFeedback() map[BatchRecipient]int {
	applied := map[BatchRecipient]int{}
	for _, b := range l.Batches {
		for _, r := range b.Recipients {
			if r.Feedback > 0 {
				applied[BatchRecipient{b.ID, r.Recipient}] = r.Feedback
			}
		}
	}
	for _, f := range l.Feedback {
		for _, number := range f.UnknownRecipients {
			applied[BatchRecipient{f.Batch, number}]++
		}
	}
	return applied
}

// MissingFeedback returns the messages that the customer must confirm (see OwedFeedback), but for which no feedback
// took effect. They are sorted by batch and recipient. The result is nil if no feedback is missing.
func (l Ledger) MissingFeedback() []BatchRecipient {
	applied := l.AppliedFeedback()
	var missing []BatchRecipient
	for owed := range l.OwedFeedback() {
		if applied[owed] == 0 {
			missing = append(missing, owed)
		}
	}
	return sorted(missing)
}

// UnearnedFeedback returns the messages for which feedback took effect although the customer must not confirm them (see
// OwedFeedback), for example if the customer read their status only through the API and got no callback. They are
// sorted by batch and recipient. The result is nil if there are none.
func (l Ledger) UnearnedFeedback() []BatchRecipient {
	owed := l.OwedFeedback()
	var unearned []BatchRecipient
	for applied := range l.AppliedFeedback() {
		if !owed[applied] {
			unearned = append(unearned, applied)
		}
	}
	return sorted(unearned)
}

func sorted(messages []BatchRecipient) []BatchRecipient {
	slices.SortFunc(messages, func(x, y BatchRecipient) int {
		return cmp.Or(cmp.Compare(x.Batch, y.Batch), cmp.Compare(x.Recipient, y.Recipient))
	})
	return messages
}
