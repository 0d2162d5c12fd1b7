package sinch

// BinaryMessage is an SMS whose body is bytes, not text. Body and UDH (user data header) have at most 140 bytes
// together.
type BinaryMessage struct {
	Options
	Body    []byte
	UDH     []byte // user data header
	FromTON *int   // type of number of From, 0 to 6; nil: Sinch decides
	FromNPI *int   // numbering plan of From, 0 to 18; nil: Sinch decides
}

// Type returns TypeBinary.
func (*BinaryMessage) Type() Type { return TypeBinary }

// Validate returns an *InvalidError for the first rule of Sinch's that the message breaks. It does not call Sinch.
func (m *BinaryMessage) Validate() error {
	return firstError(m.validate(), binaryRule(m.Body, m.UDH), senderRule(m.FromTON, m.FromNPI))
}

// MarshalJSON encodes the message as the JSON body of a request to Sinch.
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
