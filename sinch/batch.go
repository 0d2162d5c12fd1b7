package sinch

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// Batch is a batch as Sinch returns it. A field is zero if its JSON member was absent or could not be decoded. Times
// are UTC, truncated to the millisecond.
type Batch struct {
	ID   string // opaque, case-sensitive
	Type Type
	// phone numbers and group ids in the spelling of the answer: mostly bare digits, however they were sent
	To              []string
	From            string
	Body            json.RawMessage // a string for text, base64 in a string for binary, an object for media
	UDH             string          // hexadecimal
	Parameters      Parameters
	DeliveryReport  DeliveryReport
	SendAt          time.Time
	ExpireAt        time.Time
	CallbackURL     string
	ClientReference string // at most 2048 characters
	FeedbackEnabled bool
	Canceled        bool
	CreatedAt       time.Time
	ModifiedAt      time.Time

	FlashMessage     bool
	TruncateConcat   bool
	StrictValidation bool
	MaxParts         int
	FromTON          *int
	FromNPI          *int

	// Unknown holds members without a field in Batch, and members whose value does not fit their field. MarshalJSON
	// writes them unchanged, unless a field with that name is set.
	Unknown map[string]json.RawMessage
}

// Numbers returns the phone numbers in the To field, spelled as they are there. Of several numbers with the same
// digits, it returns only the first. It skips entries longer than dlr.MaxNumber bytes.
func (b *Batch) Numbers() []string {
	return b.entries(isNumber, dlr.Digits)
}

// Groups returns how many different group ids are in To. An entry longer than dlr.MaxNumber bytes counts as a group id.
func (b *Batch) Groups() int {
	groups := b.entries(func(entry string) bool { return !isNumber(entry) }, func(entry string) string { return entry })
	return len(groups)
}

// entries returns those entries of the To field for which accept returns true. Of several entries with the same result
// of keyOf, it returns only the first.
func (b *Batch) entries(accept func(string) bool, keyOf func(string) string) (found []string) {
	seen := make(map[string]bool, len(b.To))
	for _, entry := range b.To {
		if accept(entry) && !seen[keyOf(entry)] {
			seen[keyOf(entry)] = true
			found = append(found, entry)
		}
	}
	return found
}

// isNumber reports whether an entry of the To field is a phone number and not a group id. It accepts more than 15
// digits, because a report may name such a recipient.
func isNumber(entry string) bool {
	digits := dlr.Digits(entry)
	return digits != "" && len(entry) <= dlr.MaxNumber && strings.Trim(digits, "0123456789") == ""
}

// Text returns the body of a text message. It returns "" for every other type.
func (b *Batch) Text() string {
	var s string
	if (b.Type != "" && b.Type != TypeText) || json.Unmarshal(b.Body, &s) != nil {
		return ""
	}
	return s
}

// ParseBatch decodes a batch from Sinch's answer. It returns an error only if body is not a JSON object, so check that
// ID is not empty. A member that cannot be decoded stays in Batch.Unknown.
func ParseBatch(body []byte) (*Batch, error) {
	b := &Batch{}
	if err := b.UnmarshalJSON(body); err != nil {
		return nil, err
	}
	return b, nil
}

// UnmarshalJSON replaces b with the batch in body. It returns an error only if body is not a JSON object.
func (b *Batch) UnmarshalJSON(body []byte) error {
	m, err := parseMembers(body)
	if err != nil {
		return err
	}
	*b = Batch{
		ID:               m.text("id"),
		Type:             Type(m.text("type")),
		To:               m.texts("to"),
		From:             m.text("from"),
		Body:             m.raw("body"),
		UDH:              m.text("udh"),
		Parameters:       m.parameters("parameters"),
		DeliveryReport:   DeliveryReport(m.text("delivery_report")),
		SendAt:           m.moment("send_at"),
		ExpireAt:         m.moment("expire_at"),
		CallbackURL:      m.text("callback_url"),
		ClientReference:  dlr.Truncate(m.text("client_reference"), maxReference),
		FeedbackEnabled:  m.flag("feedback_enabled"),
		Canceled:         m.flag("canceled"),
		CreatedAt:        m.moment("created_at"),
		ModifiedAt:       m.moment("modified_at"),
		FlashMessage:     m.flag("flash_message"),
		TruncateConcat:   m.flag("truncate_concat"),
		StrictValidation: m.flag("strict_validation"),
		MaxParts:         value(m.integer("max_number_of_message_parts")),
		FromTON:          m.integer("from_ton"),
		FromNPI:          m.integer("from_npi"),
	}
	b.Unknown = m.rest()
	return nil
}

// MarshalJSON encodes the batch in the form of Sinch's answers. It omits fields that are zero, except Canceled.
func (b Batch) MarshalJSON() ([]byte, error) {
	w := wire{
		ID: b.ID, Type: b.Type, To: b.To, From: set(b.From), UDH: set(b.UDH), Parameters: b.Parameters,
		DeliveryReport: set(b.DeliveryReport), SendAt: timestamp(b.SendAt), ExpireAt: timestamp(b.ExpireAt),
		CallbackURL: set(b.CallbackURL), ClientReference: set(b.ClientReference),
		FeedbackEnabled: set(b.FeedbackEnabled), FlashMessage: set(b.FlashMessage),
		TruncateConcat: set(b.TruncateConcat), StrictValidation: set(b.StrictValidation),
		MaxParts: set(b.MaxParts), FromTON: b.FromTON, FromNPI: b.FromNPI,
		CreatedAt: timestamp(b.CreatedAt), ModifiedAt: timestamp(b.ModifiedAt),
	}
	if len(b.Body) > 0 {
		w.Body = b.Body
	}
	if _, unread := b.Unknown["canceled"]; b.Canceled || !unread {
		w.Canceled = &b.Canceled
	}
	return w.encode(b.Unknown)
}

// errOtherBatch means that the batch id in Sinch's answer is not the id in the request.
var errOtherBatch = errors.New("the answer is about another batch")

// batchPath returns the URL path /batches/ID of a batch, with rest appended. It escapes the id but not rest.
func batchPath(batchID, rest string) (string, error) {
	segment, err := escape(batchID)
	if err != nil {
		return "", err
	}
	return batchesPath + "/" + segment + rest, nil
}

const batchesPath = "/batches"
