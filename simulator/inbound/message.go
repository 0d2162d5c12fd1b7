package inbound

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// The types of messages from phones, as in the JSON field type of the callback: text, binary and media (MMS).
const (
	typeText   = "mo_text"
	typeBinary = "mo_binary"
	typeMedia  = "mo_media"
)

// Message is a message from a phone to the customer (MO, mobile originated). Its JSON is the body of POST
// /control/inbound.
type Message struct {
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

// resolve returns a copy of m whose Type is set and whose From has only digits. It returns an error if a required field
// is missing or a value is invalid.
func (m Message) resolve() (Message, error) {
	if m.Type == "" {
		m.Type = typeText
	}
	var text string
	isText := json.Unmarshal(m.Body, &text) == nil && string(m.Body) != "null"
	switch {
	case m.To == "":
		return m, errors.New("to is missing")
	case len(m.Body) == 0 || m.Type != typeMedia && !isText:
		return m, errors.New("body must be a string, or an object for mo_media")
	}
	switch m.Type {
	case typeText, typeMedia:
	case typeBinary:
		if m.UDH == "" {
			return m, errors.New("udh is missing")
		}
	default:
		return m, fmt.Errorf("unknown type %q; use one of mo_text, mo_binary, mo_media", m.Type)
	}
	from, ok := xms.Digits(m.From)
	if !ok {
		return m, errors.New("from must have 3 to 15 digits")
	}
	m.From = from
	return m, nil
}

// text returns the text of a text message (mo_text), and "" for the other types.
func (m Message) text() (text string) {
	if m.Type == typeText {
		_ = json.Unmarshal(m.Body, &text) // resolve has checked that it is a string
	}
	return text
}

// body is the JSON body of the callback about a message from a phone, as Sinch sends it.
type body struct {
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

// encode returns the JSON body of the callback about m, which must come from resolve. id is the id of the message, and
// received is when Sinch received it. from is m.From, with a plus sign in front if an anomaly adds one.
func (m Message) encode(id, from string, received time.Time) []byte {
	b := &body{
		Body: m.Body, ClientReference: m.ClientReference, From: from, ID: id, OperatorID: m.OperatorID,
		ReceivedAt: xms.Stamp(received), To: m.To, Type: m.Type, UDH: m.UDH,
	}
	if m.SentAt != nil {
		sent := xms.Stamp(*m.SentAt)
		b.SentAt = &sent
	}
	return xms.Encode(b)
}
