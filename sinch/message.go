package sinch

import (
	"encoding/json"
	"time"
)

// Message is what is to be sent to up to 1000 numbers and groups: a *TextMessage, a *BinaryMessage or a *MediaMessage.
type Message interface {
	// Type is Sinch's word for the kind of message.
	Type() Type
	// Common returns what all kinds of message have; changing it changes the message.
	Common() *Options
	// Validate returns an *InvalidError for the first rule of Sinch's that the message breaks, as far as one can know
	// without Sinch. Send, DryRun and Replace ask it before they call.
	Validate() error
	json.Marshaler

	wire() wire
}

// Type is the kind of a message.
type Type string

// The types.
const (
	TypeText   Type = "mt_text"
	TypeBinary Type = "mt_binary"
	TypeMedia  Type = "mt_media"
)

func (t Type) known() bool { return t == TypeText || t == TypeBinary || t == TypeMedia }

const unknownType = "use mt_text, mt_binary or mt_media"

// DeliveryReport says which delivery reports Sinch is to call back with.
type DeliveryReport string

// The kinds of delivery report. Any but none needs a callback URL, the batch's or the plan's.
const (
	ReportNone              DeliveryReport = "none"                // also when it is left out
	ReportSummary           DeliveryReport = "summary"             // one of the batch, with counts
	ReportFull              DeliveryReport = "full"                // one of the batch, with counts and recipients
	ReportPerRecipient      DeliveryReport = "per_recipient"       // one at every change of a recipient's status
	ReportPerRecipientFinal DeliveryReport = "per_recipient_final" // one of each recipient
)

// Options are what all kinds of message have in common. Only To is required; From is too, unless the plan has
// default originators.
type Options struct {
	To              []string // 1 to 1000 numbers and group ids
	From            string   // a number, a short code or an alphanumeric sender
	DeliveryReport  DeliveryReport
	SendAt          time.Time // zero, or gone by: at once
	ExpireAt        time.Time // zero: 3 days after it is sent, which is also the longest
	CallbackURL     string    // instead of the plan's
	ClientReference string    // comes back in batches and reports; nothing personal belongs there
	// FeedbackEnabled announces that delivery feedback will be given.
	FeedbackEnabled bool
	// Unknown are members that this package has no field for. They are sent as they are, unless a field says otherwise.
	Unknown map[string]json.RawMessage
}

// Common returns o.
func (o *Options) Common() *Options { return o }

func (o *Options) validate() error {
	return firstOf(
		toRule(o.To),
		kindRule(o.DeliveryReport),
		validityRule(o.SendAt, o.ExpireAt),
		urlRule("callback_url", o.CallbackURL),
		lengthRule("client_reference", o.ClientReference, maxReference),
		unknownRule("", o.Unknown),
	)
}

// members returns those that every kind of message has.
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

// Parameters are the values that stand in a body for ${key}: key, then recipient's number or "default", then value. Keys
// have 1 to 16 of the characters A–Z a–z 0–9 . - _.
type Parameters map[string]map[string]string

// ParseMessage reads the body of a request that sends, tries or replaces a batch. It is strict about JSON and the
// types of members, and says by an *InvalidError which member is at fault; a null reads as if the member were missing. Members
// that it does not know go to Unknown. Whether the message keeps to Sinch's rules is Validate's to say.
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
		m = parseText(o) // as Sinch does for a message without a type
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
