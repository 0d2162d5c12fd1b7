package store

import (
	"errors"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// Inbound is a message that a phone sent to the plan (MO). Stores keep each message once, identified by plan and
// message id, with its callback body as received.
type Inbound struct {
	*dlr.Inbound        // never nil
	Raw          []byte // the body of the callback
}

// Batch returns the empty string, because an inbound message belongs to no batch.
func (Inbound) Batch() string { return "" }

// Check returns an error if the message or its id is missing.
func (n Inbound) Check() error {
	if n.Inbound == nil || n.ID == "" {
		return errors.New("record: no id of the inbound message")
	}
	return nil
}

// Names returns 0, because an inbound message names no recipient.
func (Inbound) Names() int { return 0 }

// Named returns false, because an inbound message names no recipient.
func (Inbound) Named(int) ([]string, bool) { return nil, false }

// Restrict returns the message unchanged, because it names no recipient.
func (n Inbound) Restrict(_, _ int) Entry { return n }

// RawBytes returns the callback body itself, not a copy.
func (n Inbound) RawBytes() []byte { return n.Raw }

// WithRaw returns a copy of the message with raw as its callback body.
func (n Inbound) WithRaw(raw []byte) Entry {
	n.Raw = raw
	return n
}

// InboundMessage is a stored inbound message, with its plan and the time at which dlrloop received it.
type InboundMessage struct {
	Plan      string
	ArrivedAt time.Time // when dlrloop received the callback; Inbound.ReceivedAt is when Sinch received the message
	Inbound
}

// InboundQuery filters inbound messages; a zero field does not filter.
type InboundQuery struct {
	Plan     string
	Number   string    // a phone number in any spelling: From or To has the same digits
	From, To time.Time // From <= ArrivedAt < To
	Paging
}

// Matches reports whether the message m passes all filters of the query.
func (q InboundQuery) Matches(m *InboundMessage) bool {
	digits := dlr.Digits(q.Number)
	return (q.Plan == "" || m.Plan == q.Plan) &&
		(q.Number == "" || dlr.Digits(m.Inbound.From) == digits || dlr.Digits(m.Inbound.To) == digits) &&
		(q.From.IsZero() || !m.ArrivedAt.Before(q.From)) && (q.To.IsZero() || m.ArrivedAt.Before(q.To))
}
