package sinch

import "encoding/json"

// MediaMessage is an MMS. Sinch offers it in the United States, Canada, Australia and Puerto Rico.
type MediaMessage struct {
	Options
	Body             Media
	Parameters       Parameters
	StrictValidation bool // have Sinch check the media against best practice
}

// Media is the body of a MediaMessage.
type Media struct {
	URL     string // where Sinch fetches the media; required
	Message string
	Subject string
	// Unknown are members that this package has no field for.
	Unknown map[string]json.RawMessage
}

// Type returns TypeMedia.
func (*MediaMessage) Type() Type { return TypeMedia }

// Validate is described at Message.
func (m *MediaMessage) Validate() error {
	return firstOf(m.validate(), mediaRule(m.Body), parametersRule(m.Parameters))
}

// MarshalJSON writes the message as Sinch reads it.
func (m MediaMessage) MarshalJSON() ([]byte, error) { return m.wire().encode(m.Unknown) }

func (m MediaMessage) wire() wire {
	w := m.members(TypeMedia)
	w.Body = m.Body
	w.Parameters = m.Parameters
	w.StrictValidation = set(m.StrictValidation)
	return w
}

// MarshalJSON writes the media as Sinch reads it.
func (m Media) MarshalJSON() ([]byte, error) {
	return encode(struct {
		URL     string `json:"url"`
		Message string `json:"message,omitempty"`
		Subject string `json:"subject,omitempty"`
	}{m.URL, m.Message, m.Subject}, m.Unknown)
}

// UnmarshalJSON reads what Sinch says of the media, as tolerantly as a Batch is read.
func (m *Media) UnmarshalJSON(body []byte) error {
	left, err := parseMembers(body)
	if err != nil {
		return err
	}
	*m = Media{URL: left.text("url"), Message: left.text("message"), Subject: left.text("subject")}
	m.Unknown = left.rest()
	return nil
}

func parseMedia(o *object) *MediaMessage {
	o.require("body")
	return &MediaMessage{
		Options:          parseOptions(o),
		Body:             value(o.media("body")),
		Parameters:       o.parameters("parameters"),
		StrictValidation: value(o.flag("strict_validation")),
	}
}
