package cli

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/dlrloop/dlrloop/sinch"
)

// build returns the message that the flags define. A flag that this type of message does not have is a usageError.
func (m *message) build() (sinch.Message, error) {
	parameters, err := m.parseParameters()
	if err != nil {
		return nil, err
	}
	common := sinch.Options{
		To: m.to, From: m.from, DeliveryReport: sinch.DeliveryReport(m.report), SendAt: m.sendAt, ExpireAt: m.expireAt,
		CallbackURL: m.callback, ClientReference: m.reference, FeedbackEnabled: m.feedback,
	}
	t, err := m.messageType()
	if err != nil {
		return nil, err
	}
	switch t {
	case sinch.TypeBinary:
		body, udh, err := m.binary()
		return &sinch.BinaryMessage{Options: common, Body: body, UDH: udh}, errors.Join(err,
			m.rejectFlags("param", "media-url", "subject", "flash", "truncate", "max-parts"))
	case sinch.TypeMedia:
		media := sinch.Media{URL: m.mediaURL, Message: m.body, Subject: m.subject}
		return &sinch.MediaMessage{Options: common, Body: media, Parameters: parameters}, m.rejectFlags("udh", "flash",
			"truncate", "max-parts")
	}
	if !m.given("body") {
		return nil, usageError{errors.New("--body: is missing; set the text, or --file")}
	}
	if m.given("max-parts") && m.parts < 1 {
		return nil, usageError{errors.New("--max-parts: must be at least 1; omit it for no limit")}
	}
	return &sinch.TextMessage{
		Options: common, Body: m.body, Parameters: parameters,
		FlashMessage: m.flash, TruncateConcat: m.truncate, MaxParts: m.parts,
	}, m.rejectFlags("udh", "media-url", "subject")
}

// messageType parses the flag --type: text, binary or media, with or without Sinch's prefix mt_. It returns "" if the
// flag is not set, and a usageError for any other value.
func (m *message) messageType() (sinch.Type, error) {
	switch t := sinch.Type("mt_" + strings.TrimPrefix(m.kind, "mt_")); {
	case m.kind == "":
		return "", nil
	case t == sinch.TypeText, t == sinch.TypeBinary, t == sinch.TypeMedia:
		return t, nil
	}
	return "", usageError{errors.New("--type: use text, binary or media")}
}

// rejectFlags returns a usageError if one of these flags is set, because they do not apply to the message's type.
func (m *message) rejectFlags(names ...string) error {
	for _, name := range names {
		if m.given(name) {
			return usageError{fmt.Errorf("--%s does not apply to a message of this --type", name)}
		}
	}
	return nil
}

func (m *message) binary() (body, udh []byte, err error) {
	if body, err = base64.StdEncoding.DecodeString(m.body); err != nil || !m.given("body") {
		return nil, nil, usageError{errors.New("--body: a binary message needs its content in base64")}
	}
	if udh, err = hex.DecodeString(m.udh); err != nil || !m.given("udh") {
		return nil, nil, usageError{errors.New("--udh: a binary message needs a user data header in hexadecimal digits")}
	}
	return body, udh, nil
}

func (m *message) parseParameters() (sinch.Parameters, error) {
	var p sinch.Parameters
	for _, text := range m.parameters {
		name, value, valued := strings.Cut(text, "=")
		key, number, targeted := strings.Cut(name, ":")
		if !valued || !targeted {
			return nil, usageError{errors.New("--param: write KEY:NUMBER=VALUE, such as name:+447700900133=Ada or " +
				"name:default=you")}
		}
		if p == nil {
			p = sinch.Parameters{}
		}
		if p[key] == nil {
			p[key] = map[string]string{}
		}
		p[key][number] = value
	}
	return p, nil
}
