package simulator

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

const (
	typeText   = "mt_text"
	typeBinary = "mt_binary"
	typeMedia  = "mt_media"

	maxRecipients = 1000
	maxReference  = 2048
	maxValue      = 160 // maximum characters in a parameter's value
)

// members are the JSON members of a batch that requests set and answers repeat. Absent members are nil.
type members struct {
	To              []string                     `json:"to"`
	From            *string                      `json:"from,omitempty"`
	Parameters      map[string]map[string]string `json:"parameters,omitempty"`
	Body            json.RawMessage              `json:"body"`
	UDH             *string                      `json:"udh,omitempty"`
	Type            *string                      `json:"type"`
	DeliveryReport  *string                      `json:"delivery_report"`
	SendAt          *timestamp                   `json:"send_at,omitempty"`
	ExpireAt        *timestamp                   `json:"expire_at,omitempty"`
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

// check validates m, removes members that the batch's type does not have, normalises numbers to digits, and fills in
// the defaults that answers show.
func (m *members) check() error {
	m.Type = pointerOr(m.Type, typeText)
	m.DeliveryReport = pointerOr(m.DeliveryReport, string(none))
	if err := m.checkKinds(); err != nil {
		return err
	}
	m.dropOthers()
	for _, check := range []func() error{m.checkRecipients, m.checkBody, m.checkParameters, m.checkLimits} {
		if err := check(); err != nil {
			return err
		}
	}
	if m.From != nil {
		if number, ok := digits(*m.From); ok {
			m.From = &number
		}
	}
	return nil
}

// dropOthers removes members that belong to other batch types. Like unknown members they are ignored.
func (m *members) dropOthers() {
	if *m.Type == typeText {
		m.FlashMessage = pointerOr(m.FlashMessage, false)
	} else {
		m.FlashMessage, m.TruncateConcat, m.MaxParts = nil, nil, nil
	}
	if *m.Type == typeBinary {
		m.Parameters = nil
	} else {
		m.UDH = nil
	}
	if *m.Type == typeMedia {
		m.FromTon, m.FromNpi = nil, nil
	} else {
		m.Strict = nil
	}
}

func (m *members) checkRecipients() error {
	if len(m.To) < 1 || len(m.To) > maxRecipients {
		return violation("to must have between 1 and %d elements", maxRecipients)
	}
	return normalise(m.To)
}

// normalise replaces each number in entries by its digits, in place. It returns an *apiError if an entry is neither a
// number nor a group id.
func normalise(entries []string) error {
	for i, entry := range entries {
		number, ok := digits(entry)
		switch {
		case ok:
			entries[i] = number
		case !isGroupID(entry):
			return invalidFormat(entry, "identifier")
		}
	}
	return nil
}

func (m *members) checkKinds() error {
	switch *m.Type {
	case typeText, typeBinary, typeMedia:
	default:
		return invalidFormat(*m.Type, "type")
	}
	switch reportKind(*m.DeliveryReport) {
	case none, summary, full, perRecipient, perRecipientFinal:
		return nil
	default:
		return invalidFormat(*m.DeliveryReport, "delivery_report")
	}
}

func (m *members) checkBody() error {
	if len(m.Body) == 0 || string(m.Body) == "null" {
		return violation("body is missing")
	}
	switch *m.Type {
	case typeMedia:
		return checkMedia(m.Body)
	case typeBinary:
		return checkBinary(m.Body, m.UDH)
	default:
		return checkText(m.Body)
	}
}

func checkText(body json.RawMessage) error {
	var text string
	if err := decode(body, &text); err != nil {
		return err
	}
	if utf8.RuneCountInString(text) > 2000 {
		return violation("body must have at most 2000 characters")
	}
	return nil
}

func checkBinary(body json.RawMessage, udh *string) error {
	var text string
	if err := decode(body, &text); err != nil {
		return err
	}
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return invalidFormat("body", "base64 string")
	}
	if udh == nil {
		return violation("udh is missing")
	}
	header, err := hex.DecodeString(*udh)
	if err != nil {
		return invalidFormat(*udh, "hex string")
	}
	if len(content)+len(header) > 140 {
		return violation("body and udh must have at most 140 bytes together")
	}
	return nil
}

func checkMedia(body json.RawMessage) error {
	var media struct {
		URL     string  `json:"url"`
		Message *string `json:"message"`
		Subject *string `json:"subject"`
	}
	if err := decode(body, &media); err != nil {
		return err
	}
	if media.URL == "" {
		return violation("body.url is missing")
	}
	return nil
}

func (m *members) checkParameters() error {
	for key, values := range m.Parameters {
		if !isParameter(key) {
			return invalidFormat(key, "parameter key")
		}
		for number, value := range values {
			if _, ok := digits(number); !ok && number != defaultValue {
				return invalidFormat(number, "number")
			}
			if utf8.RuneCountInString(value) > maxValue {
				return violation("a value of parameter %s must have at most %d characters", key, maxValue)
			}
		}
	}
	return nil
}

func (m *members) checkLimits() error {
	switch {
	case m.From != nil && *m.From == "":
		return invalidFormat(*m.From, "sender")
	case m.CallbackURL != nil && !isCallbackURL(*m.CallbackURL):
		return invalidFormat(*m.CallbackURL, "callback_url")
	case m.ClientReference != nil && utf8.RuneCountInString(*m.ClientReference) > maxReference:
		return violation("client_reference must have at most %d characters", maxReference)
	case m.MaxParts != nil && *m.MaxParts < 1:
		return violation("max_number_of_message_parts must be at least 1")
	case m.FromTon != nil && (*m.FromTon < 0 || *m.FromTon > 6):
		return violation("from_ton must be between 0 and 6")
	case m.FromNpi != nil && (*m.FromNpi < 0 || *m.FromNpi > 18):
		return violation("from_npi must be between 0 and 18")
	}
	return nil
}

// isGroupID reports whether entry has the form of a group id: ids with 12, 16 and 26 letters and digits have been
// seen.
func isGroupID(entry string) bool {
	return len(entry) >= 12 && len(entry) <= 64 && !strings.ContainsFunc(entry, func(r rune) bool { return !isWord(r) })
}

func isWord(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

func pointerOr[T any](v *T, fallback T) *T {
	if v == nil {
		return &fallback
	}
	return v
}
