package sinch

import "encoding/json"

// MediaMessage is an MMS. Sinch offers MMS in the United States, Canada, Australia and Puerto Rico.
type MediaMessage struct {
	Options
	Body             Media
	Parameters       Parameters
	StrictValidation bool // Sinch checks the media against best practice
}

// Media is the body of a MediaMessage: the URL of the media, and optionally a text and a subject.
type Media struct {
	URL     string // from which Sinch fetches the media; required
	Message string
	Subject string
	// Unknown holds members without a field.
	Unknown map[string]json.RawMessage
}

// Type returns TypeMedia.
func (*MediaMessage) Type() Type { return TypeMedia }

// Validate returns an *InvalidError for the first rule of Sinch's that the message breaks. It does not call Sinch.
func (m *MediaMessage) Validate() error {
	return firstError(m.validate(), mediaRule(m.Body), parametersRule(m.Parameters))
}

// MarshalJSON encodes the message as the JSON body of a request to Sinch.
func (m MediaMessage) MarshalJSON() ([]byte, error) { return m.wire().encode(m.Unknown) }

func (m MediaMessage) wire() wire {
	w := m.members(TypeMedia)
	w.Body = m.Body
	w.Parameters = m.Parameters
	w.StrictValidation = set(m.StrictValidation)
	return w
}

// MarshalJSON encodes the media as the JSON member "body" of a request to Sinch.
func (m Media) MarshalJSON() ([]byte, error) {
	return encode(struct {
		URL     string `json:"url"`
		Message string `json:"message,omitempty"`
		Subject string `json:"subject,omitempty"`
	}{m.URL, m.Message, m.Subject}, m.Unknown)
}

// UnmarshalJSON decodes the media from Sinch's answer. It returns an error only if body is not a JSON object.
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
