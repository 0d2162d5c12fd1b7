package sinch

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// wire is the JSON form of messages, updates and batches. A field that is nil or empty is omitted.
type wire struct {
	ID               string          `json:"id,omitempty"`
	Type             Type            `json:"type,omitempty"`
	To               []string        `json:"to,omitempty"`
	ToAdd            []string        `json:"to_add,omitempty"`
	ToRemove         []string        `json:"to_remove,omitempty"`
	From             *string         `json:"from,omitempty"`
	Canceled         *bool           `json:"canceled,omitempty"`
	Body             any             `json:"body,omitempty"`
	UDH              *string         `json:"udh,omitempty"`
	Parameters       Parameters      `json:"parameters,omitempty"`
	DeliveryReport   *DeliveryReport `json:"delivery_report,omitempty"`
	SendAt           *string         `json:"send_at,omitempty"`
	ExpireAt         *string         `json:"expire_at,omitempty"`
	CallbackURL      *string         `json:"callback_url,omitempty"`
	ClientReference  *string         `json:"client_reference,omitempty"`
	FeedbackEnabled  *bool           `json:"feedback_enabled,omitempty"`
	FlashMessage     *bool           `json:"flash_message,omitempty"`
	TruncateConcat   *bool           `json:"truncate_concat,omitempty"`
	StrictValidation *bool           `json:"strict_validation,omitempty"`
	MaxParts         *int            `json:"max_number_of_message_parts,omitempty"`
	FromTON          *int            `json:"from_ton,omitempty"`
	FromNPI          *int            `json:"from_npi,omitempty"`
	CreatedAt        *string         `json:"created_at,omitempty"`
	ModifiedAt       *string         `json:"modified_at,omitempty"`
}

func (w wire) encode(unknown map[string]json.RawMessage) ([]byte, error) { return encode(w, unknown) }

// encode encodes a struct as JSON and adds the unknown members. A member that the struct already has is not added.
func encode(v any, unknown map[string]json.RawMessage) ([]byte, error) {
	known, err := json.Marshal(v)
	if err != nil || len(unknown) == 0 {
		return known, err
	}
	var written map[string]json.RawMessage
	if err := json.Unmarshal(known, &written); err != nil {
		return nil, err
	}
	b := bytes.NewBuffer(known[:len(known)-1])
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		if _, found := written[name]; found {
			continue
		}
		member, err := json.Marshal(map[string]json.RawMessage{name: unknown[name]})
		if err != nil {
			return nil, err
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.Write(member[1 : len(member)-1])
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// set returns a pointer to v, or nil if v is zero, so that a zero value is omitted from the JSON.
func set[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// timestampLayout is the layout, as for time.Format, of the times in requests. The times are in UTC.
const timestampLayout = "2006-01-02T15:04:05.000Z"

func timestamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return set(t.UTC().Format(timestampLayout))
}

func base64Text(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func hexText(b []byte) *string {
	s := hex.EncodeToString(b)
	return &s
}
