package xms

import (
	"encoding/json"

	"github.com/dlrloop/dlrloop/simulator/text"
)

// The values of Batch.Type: text, binary and media messages (MMS) to phones.
const (
	TypeText   = "mt_text"
	TypeBinary = "mt_binary"
	TypeMedia  = "mt_media"
)

// ReportKind is the JSON field delivery_report of a batch. It decides which reports Sinch sends as callbacks.
type ReportKind string

// The values of ReportKind: no callback, one callback for the batch (summary without phone numbers, or full), or
// callbacks for each recipient (every status, or only the final one).
const (
	ReportNone              ReportKind = "none"
	ReportSummary           ReportKind = "summary"
	ReportFull              ReportKind = "full"
	ReportPerRecipient      ReportKind = "per_recipient"
	ReportPerRecipientFinal ReportKind = "per_recipient_final"
)

// Batch is a batch in JSON, with the fields that both requests and answers have. Absent fields are nil. After ReadBatch
// or Update.ApplyTo, To, Type, DeliveryReport and Body are set, and phone numbers in To and From are only digits.
type Batch struct {
	To              []string                     `json:"to"`
	From            *string                      `json:"from,omitempty"`
	Parameters      map[string]map[string]string `json:"parameters,omitempty"`
	Body            json.RawMessage              `json:"body"`
	UDH             *string                      `json:"udh,omitempty"`
	Type            *string                      `json:"type"`
	DeliveryReport  *string                      `json:"delivery_report"`
	SendAt          *Timestamp                   `json:"send_at,omitempty"`
	ExpireAt        *Timestamp                   `json:"expire_at,omitempty"`
	CallbackURL     *string                      `json:"callback_url,omitempty"`
	ClientReference *string                      `json:"client_reference,omitempty"`
	FeedbackEnabled *bool                        `json:"feedback_enabled,omitempty"`
	FlashMessage    *bool                        `json:"flash_message,omitempty"`
	TruncateConcat  *bool                        `json:"truncate_concat,omitempty"`
	MaxParts        *int                         `json:"max_number_of_message_parts,omitempty"`
	FromTon         *int                         `json:"from_ton,omitempty"`
	FromNpi         *int                         `json:"from_npi,omitempty"`
	Strict          *bool                        `json:"strict_validation,omitempty"`
	DLTPrincipal    *string                      `json:"dlt_principal_entity_id,omitempty"`
	DLTTemplate     *string                      `json:"dlt_template_id,omitempty"`
}

// ReadBatch parses and checks the body of a request that sends or replaces a batch, or tests a batch with a dry run. It
// sets the defaults of absent fields. It returns an *Error if the body is invalid.
func ReadBatch(body []byte) (Batch, error) {
	var b Batch
	if err := Decode(body, &b); err != nil {
		return b, err
	}
	return b, b.check()
}

// Kind returns the JSON field delivery_report of the batch. The batch must come from ReadBatch or Update.ApplyTo.
func (b *Batch) Kind() ReportKind { return ReportKind(*b.DeliveryReport) }

// OwnCallbackURL returns the callback URL that the batch itself names (callback_url), or "" if it names none.
func (b *Batch) OwnCallbackURL() string {
	if b.CallbackURL == nil {
		return ""
	}
	return *b.CallbackURL
}

// WantsFeedback reports whether the batch enables delivery feedback, the customer's confirmation of deliveries.
func (b *Batch) WantsFeedback() bool { return b.FeedbackEnabled != nil && *b.FeedbackEnabled }

// ReportType returns the JSON field type of a report on this batch, for example "recipient_delivery_report_sms". prefix
// is "recipient_" for a report on one recipient and "" for one on the whole batch. The batch must come from ReadBatch
// or Update.ApplyTo.
func (b *Batch) ReportType(prefix string) string {
	if *b.Type == TypeMedia {
		return prefix + "delivery_report_mms"
	}
	return prefix + "delivery_report_sms"
}

// Template returns the text of the batch as a text.Template, whose method For inserts the parameter values of one phone
// number. The batch must come from ReadBatch or Update.ApplyTo.
func (b *Batch) Template() text.Template {
	limits := text.Limits{OnePart: *b.Type != TypeText, Truncate: b.TruncateConcat != nil && *b.TruncateConcat}
	if *b.Type == TypeMedia {
		var media struct {
			Message string `json:"message"`
		}
		_ = Decode(b.Body, &media) // already checked
		return text.New(media.Message, b.values(), limits)
	}
	var body string
	_ = json.Unmarshal(b.Body, &body) // already checked
	if *b.Type == TypeBinary {
		return text.New(body, nil, limits)
	}
	return text.New(body, b.values(), limits)
}

// values returns a copy of b.Parameters, which holds the parameter values for each phone number. In the copy, the phone
// numbers are reduced to digits. The result is never nil.
func (b *Batch) values() text.Values {
	values := make(text.Values, len(b.Parameters))
	for key, byNumber := range b.Parameters {
		values[key] = make(map[string]string, len(byNumber))
		for number, value := range byNumber {
			if bare, ok := Digits(number); ok {
				number = bare
			}
			values[key][number] = value
		}
	}
	return values
}
