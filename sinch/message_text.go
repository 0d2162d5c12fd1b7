package sinch

// TextMessage is an SMS of text. Sinch sends up to 160 characters as one part, and a longer text as parts of 153. If a
// character is not in the GSM 7-bit alphabet, the limits are 70 and 67.
type TextMessage struct {
	Options
	Body           string // at most 2000 characters; ${key} stands for a parameter
	Parameters     Parameters
	FlashMessage   bool // shown at once and not stored on the phone
	TruncateConcat bool // truncated to one part
	MaxParts       int  // recipients who would need more parts get no message; zero means no limit
	FromTON        *int // type of number of From, 0 to 6; nil: Sinch decides
	FromNPI        *int // numbering plan of From, 0 to 18; nil: Sinch decides
}

// Type returns TypeText.
func (*TextMessage) Type() Type { return TypeText }

// Validate returns an *InvalidError for the first rule of Sinch's that the message breaks. It does not call Sinch.
func (m *TextMessage) Validate() error {
	err := firstError(
		m.validate(),
		lengthRule("body", m.Body, maxBody),
		parametersRule(m.Parameters),
		senderRule(m.FromTON, m.FromNPI),
	)
	if err == nil && m.MaxParts != 0 {
		err = partsRule(m.MaxParts)
	}
	return err
}

// MarshalJSON encodes the message as the JSON body of a request to Sinch.
func (m TextMessage) MarshalJSON() ([]byte, error) { return m.wire().encode(m.Unknown) }

func (m TextMessage) wire() wire {
	w := m.members(TypeText)
	w.Body = m.Body
	w.Parameters = m.Parameters
	w.FlashMessage, w.TruncateConcat = set(m.FlashMessage), set(m.TruncateConcat)
	w.MaxParts, w.FromTON, w.FromNPI = set(m.MaxParts), m.FromTON, m.FromNPI
	return w
}

func parseText(o *object) *TextMessage {
	o.require("body")
	m := &TextMessage{
		Options:        parseOptions(o),
		Body:           value(o.text("body")),
		Parameters:     o.parameters("parameters"),
		FlashMessage:   value(o.flag("flash_message")),
		TruncateConcat: value(o.flag("truncate_concat")),
		FromTON:        o.integer("from_ton"),
		FromNPI:        o.integer("from_npi"),
	}
	if parts := o.integer("max_number_of_message_parts"); parts != nil {
		m.MaxParts = *parts
		o.note(partsRule(*parts)) // checked here because zero means no limit in MaxParts
	}
	return m
}
