package xms

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/dlrloop/dlrloop/simulator/text"
)

// MaxRecipients limits the entries in the "to" list of a batch, and the recipients that a dry run lists. More are
// answered 400.
const MaxRecipients = 1000

const (
	maxReference = 2048
	maxValue     = 160 // maximum characters in a parameter's value
)

// CallbackURLRule is the rule of IsCallbackURL in words. Error texts about a refused URL end with this text.
const CallbackURLRule = "must be an absolute http or https URL of at most 2048 characters"

// IsCallbackURL reports whether s is an absolute http or https URL of at most 2048 characters.
func IsCallbackURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= 2048 && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// check validates a parsed batch. It also sets defaults, reduces phone numbers to digits and removes fields that do not
// fit the type of the batch. It returns an *Error if the batch is invalid.
func (b *Batch) check() error {
	b.Type = pointerOr(b.Type, TypeText)
	b.DeliveryReport = pointerOr(b.DeliveryReport, string(ReportNone))
	if err := b.checkKinds(); err != nil {
		return err
	}
	b.dropUnusedFields()
	for _, check := range []func() error{b.checkRecipients, b.checkBody, b.checkParameters, b.checkLimits} {
		if err := check(); err != nil {
			return err
		}
	}
	if b.From != nil {
		sender := NormalizeSender(*b.From)
		b.From = &sender
	}
	return nil
}

// NormalizeSender returns the digits of a sender that is a phone number. It returns any other sender unchanged.
func NormalizeSender(sender string) string {
	if number, ok := Digits(sender); ok {
		return number
	}
	return sender
}

// dropUnusedFields removes the fields that do not fit the type of the batch, such as UDH of a text. It sets
// FlashMessage of a text to false if it is nil.
func (b *Batch) dropUnusedFields() {
	if *b.Type == TypeText {
		b.FlashMessage = pointerOr(b.FlashMessage, false)
	} else {
		b.FlashMessage, b.TruncateConcat, b.MaxParts = nil, nil, nil
	}
	if *b.Type == TypeBinary {
		b.Parameters = nil
	} else {
		b.UDH = nil
	}
	if *b.Type == TypeMedia {
		b.FromTon, b.FromNpi = nil, nil
	} else {
		b.Strict = nil
	}
}

func (b *Batch) checkRecipients() error {
	if len(b.To) < 1 || len(b.To) > MaxRecipients {
		return Violation("to must have between 1 and %d elements", MaxRecipients)
	}
	return normalizeRecipients(b.To)
}

// normalizeRecipients replaces each phone number in a list of recipients by its digits, in place. It returns an *Error
// for an entry that is neither a phone number nor a group id.
func normalizeRecipients(entries []string) error {
	for i, entry := range entries {
		number, ok := Digits(entry)
		switch {
		case ok:
			entries[i] = number
		case !isGroupID(entry):
			return InvalidFormat(entry, "identifier")
		}
	}
	return nil
}

func (b *Batch) checkKinds() error {
	switch *b.Type {
	case TypeText, TypeBinary, TypeMedia:
	default:
		return InvalidFormat(*b.Type, "type")
	}
	switch ReportKind(*b.DeliveryReport) {
	case ReportNone, ReportSummary, ReportFull, ReportPerRecipient, ReportPerRecipientFinal:
		return nil
	default:
		return InvalidFormat(*b.DeliveryReport, "delivery_report")
	}
}

func (b *Batch) checkBody() error {
	if len(b.Body) == 0 || string(b.Body) == "null" {
		return Violation("body is missing")
	}
	switch *b.Type {
	case TypeMedia:
		return checkMedia(b.Body)
	case TypeBinary:
		return checkBinary(b.Body, b.UDH)
	default:
		return checkText(b.Body)
	}
}

func checkText(body json.RawMessage) error {
	var text string
	if err := Decode(body, &text); err != nil {
		return err
	}
	if utf8.RuneCountInString(text) > 2000 {
		return Violation("body must have at most 2000 characters")
	}
	return nil
}

func checkBinary(body json.RawMessage, udh *string) error {
	var text string
	if err := Decode(body, &text); err != nil {
		return err
	}
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return InvalidFormat("body", "base64 string")
	}
	if udh == nil {
		return Violation("udh is missing")
	}
	header, err := hex.DecodeString(*udh)
	if err != nil {
		return InvalidFormat(*udh, "hex string")
	}
	if len(content)+len(header) > 140 {
		return Violation("body and udh must have at most 140 bytes together")
	}
	return nil
}

func checkMedia(body json.RawMessage) error {
	var media struct {
		URL     string  `json:"url"`
		Message *string `json:"message"`
		Subject *string `json:"subject"`
	}
	if err := Decode(body, &media); err != nil {
		return err
	}
	if media.URL == "" {
		return Violation("body.url is missing")
	}
	return nil
}

func (b *Batch) checkParameters() error {
	for key, values := range b.Parameters {
		if !text.IsKey(key) {
			return InvalidFormat(key, "parameter key")
		}
		for number, value := range values {
			if _, ok := Digits(number); !ok && number != text.DefaultValue {
				return InvalidFormat(number, "number")
			}
			if utf8.RuneCountInString(value) > maxValue {
				return Violation("a value of parameter %s must have at most %d characters", key, maxValue)
			}
		}
	}
	return nil
}

func (b *Batch) checkLimits() error {
	switch {
	case b.From != nil && *b.From == "":
		return InvalidFormat(*b.From, "sender")
	case b.CallbackURL != nil && !IsCallbackURL(*b.CallbackURL):
		return InvalidFormat(*b.CallbackURL, "callback_url")
	case b.ClientReference != nil && utf8.RuneCountInString(*b.ClientReference) > maxReference:
		return Violation("client_reference must have at most %d characters", maxReference)
	case b.MaxParts != nil && *b.MaxParts < 1:
		return Violation("max_number_of_message_parts must be at least 1")
	case b.FromTon != nil && (*b.FromTon < 0 || *b.FromTon > 6):
		return Violation("from_ton must be between 0 and 6")
	case b.FromNpi != nil && (*b.FromNpi < 0 || *b.FromNpi > 18):
		return Violation("from_npi must be between 0 and 18")
	}
	return nil
}

// isGroupID reports whether an entry looks like the id of a group: 12 to 64 letters, digits, dashes and underscores.
func isGroupID(entry string) bool {
	return len(entry) >= 12 && len(entry) <= 64 && // ids of 12, 16 and 26 letters and digits have been seen
		!strings.ContainsFunc(entry, func(r rune) bool { return !text.IsWord(r) })
}

func pointerOr[T any](v *T, fallback T) *T {
	if v == nil {
		return &fallback
	}
	return v
}
