package sinch

// BinaryMessage is an SMS of bytes. Body and UDH, its user data header, have at most 140 bytes together.
type BinaryMessage struct {
	Options
	Body    []byte
	UDH     []byte
	FromTON *int // type of number of From, 0 to 6; nil: Sinch finds out
	FromNPI *int // numbering plan of From, 0 to 18; nil: Sinch finds out
}

// Type returns TypeBinary.
func (*BinaryMessage) Type() Type { return TypeBinary }

// Validate is described at Message.
func (m *BinaryMessage) Validate() error {
	return firstOf(m.validate(), binaryRule(m.Body, m.UDH), senderRule(m.FromTON, m.FromNPI))
}

// MarshalJSON writes the message as Sinch reads it.
func (m BinaryMessage) MarshalJSON() ([]byte, error) { return m.wire().encode(m.Unknown) }

func (m BinaryMessage) wire() wire {
	w := m.members(TypeBinary)
	w.Body, w.UDH = base64Text(m.Body), hexText(m.UDH)
	w.FromTON, w.FromNPI = m.FromTON, m.FromNPI
	return w
}

func parseBinary(o *object) *BinaryMessage {
	o.require("body", "udh")
	return &BinaryMessage{
		Options: parseOptions(o),
		Body:    o.base64("body"),
		UDH:     o.hex("udh"),
		FromTON: o.integer("from_ton"),
		FromNPI: o.integer("from_npi"),
	}
}
