package store

import (
	"errors"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// Inbound is an inbound message (MO): a message that a phone sent to the plan. The stores keep its body as received,
// and each message once: plan and id identify it.
type Inbound struct {
	*dlr.Inbound        // never nil
	Raw          []byte // the body of the callback
}

// Batch returns "": an inbound message belongs to no batch.
func (Inbound) Batch() string { return "" }

// Check returns an error if the message or its id is missing.
func (n Inbound) Check() error {
	if n.Inbound == nil || n.ID == "" {
		return errors.New("record: no id of the inbound message")
	}
	return nil
}

// Names returns 0: an inbound message names no recipient.
func (Inbound) Names() int { return 0 }

// Named returns false: an inbound message names no recipient.
func (Inbound) Named(int) ([]string, bool) { return nil, false }

// Restrict returns n itself.
func (n Inbound) Restrict(_, _ int) Entry { return n }

// RawBytes returns Raw without copying.
func (n Inbound) RawBytes() []byte { return n.Raw }

// WithRaw returns a copy of n that refers to raw.
func (n Inbound) WithRaw(raw []byte) Entry {
	n.Raw = raw
	return n
}

// InboundMessage is the row of an inbound message.
type InboundMessage struct {
	Plan      string
	ArrivedAt time.Time // when dlrloop received the callback; Inbound.ReceivedAt is when Sinch received the message
	Inbound
}

// InboundQuery filters inbound messages; a zero member does not filter.
type InboundQuery struct {
	Plan     string
	Number   string    // a phone number in any spelling: From or To has the same digits
	From, To time.Time // From <= ArrivedAt < To
	Paging
}

// Matches reports whether m passes the filters of q.
func (q InboundQuery) Matches(m *InboundMessage) bool {
	digits := dlr.Digits(q.Number)
	return (q.Plan == "" || m.Plan == q.Plan) &&
		(q.Number == "" || dlr.Digits(m.Inbound.From) == digits || dlr.Digits(m.Inbound.To) == digits) &&
		(q.From.IsZero() || !m.ArrivedAt.Before(q.From)) && (q.To.IsZero() || m.ArrivedAt.Before(q.To))
}
