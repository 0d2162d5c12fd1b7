package simulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/simulator/callbacks"
	"github.com/dlrloop/dlrloop/simulator/random"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// Inbound is a message from a phone to the customer (MO). Its JSON form is the body of POST /control/inbound.
type Inbound struct {
	Plan            string          `json:"plan,omitempty"` // may be empty if there is only one plan
	Type            string          `json:"type,omitempty"` // mo_text (the default), mo_binary or mo_media
	From            string          `json:"from"`
	To              string          `json:"to"`
	Body            json.RawMessage `json:"body"` // a JSON string, or an object for mo_media
	UDH             string          `json:"udh,omitempty"`
	OperatorID      string          `json:"operator_id,omitempty"`
	ClientReference string          `json:"client_reference,omitempty"`
	SentAt          *time.Time      `json:"sent_at,omitempty"`
}

// inbound is the JSON body of the callback about an inbound message, as Sinch sends it.
type inbound struct {
	Body            json.RawMessage `json:"body"`
	ClientReference string          `json:"client_reference,omitempty"`
	From            string          `json:"from"`
	ID              string          `json:"id"`
	OperatorID      string          `json:"operator_id,omitempty"`
	ReceivedAt      xms.Timestamp   `json:"received_at"`
	SentAt          *xms.Timestamp  `json:"sent_at,omitempty"`
	To              string          `json:"to"`
	Type            string          `json:"type"`
	UDH             string          `json:"udh,omitempty"`
}

// Receive simulates a message from a phone to the customer: it schedules the callback to the plan's default URL and
// returns the message's id. It returns an error if m is invalid, or if the plan does not exist or has no callback URL.
func (s *Simulator) Receive(m Inbound) (string, error) {
	if m.Type == "" {
		m.Type = "mo_text"
	}
	from, err := m.check()
	if err != nil {
		return "", fmt.Errorf("simulator: inbound: %w", err)
	}
	p := s.plans[m.Plan]
	if m.Plan == "" && len(s.config.Plans) == 1 {
		p = s.plans[s.config.Plans[0].ID]
	}
	switch {
	case p == nil:
		return "", fmt.Errorf("simulator: inbound: plan %q does not exist", m.Plan)
	case !p.account.HasURL():
		return "", fmt.Errorf("simulator: inbound: plan %q has no callback url", p.ID)
	}
	now := time.Now()
	in := &inbound{
		Body: m.Body, ClientReference: m.ClientReference, From: from, OperatorID: m.OperatorID,
		ReceivedAt: xms.Stamp(now), To: m.To, Type: m.Type, UDH: m.UDH,
		ID: s.random.ID("inbound", now, random.Subject{Plan: p.ID, Turn: int(p.inbounds.Add(1))}),
	}
	if m.SentAt != nil {
		sent := xms.Stamp(*m.SentAt)
		in.SentAt = &sent
	}
	c := inboundCallback{plan: p.ID, id: in.ID, from: from, kind: m.Type, body: xms.Encode(in)}
	s.sender.Send(p.account, "", c, now, false, "")
	return in.ID, nil
}

// inboundCallback is the callback about one inbound message. It implements callbacks.Message.
type inboundCallback struct {
	plan, id, from, kind string
	body                 []byte
}

func (c inboundCallback) Body() []byte { return c.body }

func (c inboundCallback) Describe() callbacks.Description {
	return callbacks.Description{Type: c.kind, Recipient: c.from}
}

func (c inboundCallback) Recipients() []string { return []string{c.from} }

func (c inboundCallback) Subject(turn int) random.Subject {
	return random.Subject{Plan: c.plan, Recipient: c.id, Turn: turn}
}

func (c inboundCallback) SentAgain() bool { return false }

// check validates m and returns the sender's phone number as digits.
func (m Inbound) check() (string, error) {
	var text string
	isText := json.Unmarshal(m.Body, &text) == nil && string(m.Body) != "null"
	switch {
	case m.To == "":
		return "", errors.New("to is missing")
	case len(m.Body) == 0 || m.Type != "mo_media" && !isText:
		return "", errors.New("body must be a string, or an object for mo_media")
	}
	switch m.Type {
	case "mo_text", "mo_media":
	case "mo_binary":
		if m.UDH == "" {
			return "", errors.New("udh is missing")
		}
	default:
		return "", fmt.Errorf("unknown type %q; use one of mo_text, mo_binary, mo_media", m.Type)
	}
	from, ok := xms.Digits(m.From)
	if !ok {
		return "", errors.New("from must have 3 to 15 digits")
	}
	return from, nil
}
