package sinch

// TextMessage is an SMS of text. Sinch splits it into parts of 160 (or 153) characters, or of 70 (or 67) if one of its
// characters is not of GSM 7-bit.
type TextMessage struct {
	Options
	Body           string // at most 2000 characters; ${key} stands for a parameter
	Parameters     Parameters
	FlashMessage   bool // shown at once and not kept
	TruncateConcat bool // cut to one part
	MaxParts       int  // recipients who would need more parts get nothing; zero is no limit
	FromTON        *int // type of number of From, 0 to 6; nil: Sinch finds out
	FromNPI        *int // numbering plan of From, 0 to 18; nil: Sinch finds out
}

// Type returns TypeText.
func (*TextMessage) Type() Type { return TypeText }

// Validate is described at Message.
func (m *TextMessage) Validate() error {
	err := firstOf(
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

// MarshalJSON writes the message as Sinch reads it.
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
		o.note(partsRule(*parts)) // zero would read as no limit
	}
	return m
}
