package sinch

import (
	"encoding/json"
	"time"
)

// Message is a message to up to 1000 phone numbers and groups: a *TextMessage, a *BinaryMessage or a *MediaMessage.
type Message interface {
	// Type returns the value of the member "type".
	Type() Type
	// Common returns a pointer to the options that all kinds of message have, so the caller can change the message.
	Common() *Options
	// Validate returns an *InvalidError for the first rule of Sinch's that the message breaks, among the rules that can
	// be checked without Sinch. Send, DryRun and Replace call it first.
	Validate() error
	json.Marshaler

	wire() wire
}

// Type is the type of a message: the value of the JSON member "type".
type Type string

// The values of Type, for a TextMessage, a BinaryMessage and a MediaMessage.
const (
	TypeText   Type = "mt_text"
	TypeBinary Type = "mt_binary"
	TypeMedia  Type = "mt_media"
)

func (t Type) known() bool { return t == TypeText || t == TypeBinary || t == TypeMedia }

const unknownType = "use mt_text, mt_binary or mt_media"

// DeliveryReport selects which delivery reports Sinch sends to the callback URL.
type DeliveryReport string

// The values of DeliveryReport. All except ReportNone need a callback URL, set for the batch or for the plan.
const (
	ReportNone              DeliveryReport = "none"                // the default
	ReportSummary           DeliveryReport = "summary"             // one per batch, with counts
	ReportFull              DeliveryReport = "full"                // one per batch, with counts and recipients
	ReportPerRecipient      DeliveryReport = "per_recipient"       // one for each change of a recipient's status
	ReportPerRecipientFinal DeliveryReport = "per_recipient_final" // one per recipient, with its final status
)

// Options holds the fields that all types of message have. To is required. From is also required, unless the plan has a
// default originator (sender).
type Options struct {
	To              []string // 1 to 1000 phone numbers and group ids
	From            string   // a phone number, a short code or an alphanumeric sender
	DeliveryReport  DeliveryReport
	SendAt          time.Time // zero or past means at once
	ExpireAt        time.Time // zero means 3 days after SendAt, which is also the maximum
	CallbackURL     string    // replaces the plan's
	ClientReference string    // returned in batches and reports; must not contain personal data
	// FeedbackEnabled announces that delivery feedback will be sent for the batch.
	FeedbackEnabled bool
	// Unknown holds members without a field. They are sent unchanged, unless a field with that name is set.
	Unknown map[string]json.RawMessage
}

// Common returns o. It implements Message.Common for the types that embed Options.
func (o *Options) Common() *Options { return o }

func (o *Options) validate() error {
	return firstError(
		toRule(o.To),
		kindRule(o.DeliveryReport),
		validityRule(o.SendAt, o.ExpireAt),
		urlRule("callback_url", o.CallbackURL),
		lengthRule("client_reference", o.ClientReference, maxReference),
		unknownRule("", o.Unknown),
	)
}

// members returns the options as the JSON form of a message of type t. The caller adds the members of this type only.
func (o *Options) members(t Type) wire {
	return wire{
		Type:            t,
		To:              o.To,
		From:            set(o.From),
		DeliveryReport:  set(o.DeliveryReport),
		SendAt:          timestamp(o.SendAt),
		ExpireAt:        timestamp(o.ExpireAt),
		CallbackURL:     set(o.CallbackURL),
		ClientReference: set(o.ClientReference),
		FeedbackEnabled: set(o.FeedbackEnabled),
	}
}

// Parameters maps a key to the texts that replace ${key} in a message body. The inner map has a text for each phone
// number, and a text for all others under "default". A key has 1 to 16 of the characters A–Z a–z 0–9 . - _.
type Parameters map[string]map[string]string

// ParseMessage decodes the JSON body of a request that sends, dry-runs or replaces a batch. It returns an *InvalidError
// if the JSON is invalid, or a member is missing or has the wrong type. A null counts as absent. Unknown members are
// kept in Options.Unknown. Sinch's other rules are checked by Message.Validate.
func ParseMessage(body []byte) (Message, error) {
	o, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	o.dropNulls()
	var m Message
	switch o.messageType() {
	case TypeBinary:
		m = parseBinary(o)
	case TypeMedia:
		m = parseMedia(o)
	default:
		m = parseText(o) // Sinch treats a message without a type as text
	}
	if o.fault != nil {
		return nil, o.fault
	}
	m.Common().Unknown = o.rest()
	return m, nil
}

func parseOptions(o *object) Options {
	return Options{
		To:              value(o.texts("to")),
		From:            value(o.text("from")),
		DeliveryReport:  DeliveryReport(value(o.text("delivery_report"))),
		SendAt:          value(o.moment("send_at")),
		ExpireAt:        value(o.moment("expire_at")),
		CallbackURL:     value(o.text("callback_url")),
		ClientReference: value(o.text("client_reference")),
		FeedbackEnabled: value(o.flag("feedback_enabled")),
	}
}
