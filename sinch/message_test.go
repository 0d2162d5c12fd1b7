package sinch

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
)

func TestParseMessage(t *testing.T) {
	m, err := ParseMessage(fixtures.Read(t, "req-send-text-feedback-group.json"))
	require.NoError(t, err)
	require.Equal(t, &TextMessage{
		Options: Options{
			To:              []string{"+447700900118", "01K2NDE5RPA0C7W3B9HYZK4T6M", "0046701740607"},
			From:            "12025550100",
			DeliveryReport:  ReportPerRecipientFinal,
			SendAt:          time.Date(2025, 8, 20, 5, 30, 0, 0, time.UTC),
			ExpireAt:        time.Date(2025, 8, 21, 5, 30, 0, 0, time.UTC),
			CallbackURL:     "https://hooks.example.com/sinch/sms?tenant=a",
			ClientReference: "otp/8a02",
			FeedbackEnabled: true,
		},
		Body: "Hi ${name}, your code is ${code}.",
		Parameters: Parameters{
			"name": {"+447700900118": "Ada", "default": "there"},
			"code": {"+447700900118": "4711", "default": "0000"},
		},
	}, m)
	require.NoError(t, m.Validate())
}

// messages returns one message of each type with every member set, by its JSON.
func messages() map[string]Message {
	options := func() Options {
		return Options{
			To: []string{"12025550143"}, From: "Shop", DeliveryReport: ReportFull,
			SendAt: time.Date(2025, 8, 20, 7, 30, 0, 5e6, time.FixedZone("", 7200)), ExpireAt: time.Date(2025, 8, 21,
				0, 0, 0, 0, time.UTC),
			CallbackURL: "https://h.example.com", ClientReference: "r", FeedbackEnabled: true,
			Unknown: rawMembers("dlt_template_id", `"7"`, "to", `["9"]`),
		}
	}
	const common = `"to":["12025550143"],"from":"Shop","delivery_report":"full","send_at":"2025-08-20T05:30:00.005Z",` +
		`"expire_at":"2025-08-21T00:00:00.000Z","callback_url":"https://h.example.com","client_reference":"r",` +
		`"feedback_enabled":true,"dlt_template_id":"7"`
	return map[string]Message{
		`{"type":"mt_text","body":"Hi ${n}","parameters":{"n":{"default":"you"}},"flash_message":true,` +
			`"truncate_concat":true,` +
			`"max_number_of_message_parts":2,"from_ton":0,"from_npi":18,` + common + `}`: &TextMessage{
			Options: options(), Body: "Hi ${n}", Parameters: Parameters{"n": {"default": "you"}}, FlashMessage: true,
			TruncateConcat: true, MaxParts: 2, FromTON: new(0), FromNPI: new(18),
		},
		`{"type":"mt_binary","body":"AGZvbwD/","udh":"0605040b8423f0","from_ton":6,` +
			`"from_npi":0,` + common + `}`: &BinaryMessage{
			Options: options(), Body: []byte("\x00foo\x00\xff"), UDH: []byte{6, 5, 4, 0x0b, 0x84, 0x23, 0xf0},
			FromTON: new(6), FromNPI: new(0),
		},
		`{"type":"mt_media","body":{"url":"https://m.example.com/a.png","message":"m","subject":"s","alt":[1]},` +
			`"parameters":{"n":{"default":"you"}},"strict_validation":true,` + common + `}`: &MediaMessage{
			Options: options(), StrictValidation: true, Parameters: Parameters{"n": {"default": "you"}},
			Body: Media{URL: "https://m.example.com/a.png", Message: "m", Subject: "s", Unknown: rawMembers("alt", `[1]`)},
		},
	}
}

func TestMessagesAreEncodedAndDecoded(t *testing.T) {
	for want, m := range messages() {
		t.Run(string(m.Type()), func(t *testing.T) {
			require.NoError(t, m.Validate())
			b, err := json.Marshal(m)
			require.NoError(t, err)
			require.JSONEq(t, want, string(b), "a member with a field is written once")

			back, err := ParseMessage(b)
			require.NoError(t, err)
			delete(m.Common().Unknown, "to")
			m.Common().SendAt = m.Common().SendAt.UTC()
			require.Equal(t, m, back)
		})
	}
}

// Unset members are omitted, so that Sinch's defaults apply. The body is always written.
func TestUnsetMembersAreOmitted(t *testing.T) {
	for want, m := range map[string]any{
		`{"type":"mt_text","to":["1"],"body":""}`:            &TextMessage{Options: Options{To: []string{"1"}}},
		`{"type":"mt_text","to":["2"],"body":""}`:            TextMessage{Options: Options{To: []string{"2"}}},
		`{"type":"mt_binary","to":["1"],"body":"","udh":""}`: &BinaryMessage{Options: Options{To: []string{"1"}}},
		`{"type":"mt_media","to":["1"],"body":{"url":"u"}}`: &MediaMessage{
			Options: Options{To: []string{"1"}}, Body: Media{URL: "u"},
		},
		`{"type":"mt_media","to":["1"],"body":{"url":"","a":1}}`: MediaMessage{
			Options: Options{To: []string{"1"}}, Body: Media{Unknown: rawMembers("a", "1", "url", "2")},
		},
	} {
		b, err := json.Marshal(m)
		require.NoError(t, err)
		require.JSONEq(t, want, string(b))
	}
}

func TestParseMessageIsTolerantOfNullsAndNewMembers(t *testing.T) {
	m, err := ParseMessage([]byte(`{"to":["1"],"body":"x","type":null,"parameters":null,"send_at":null,` +
		`"new":{"a":[1]},"Body":"y","udh":null}`))
	require.NoError(t, err)
	require.Equal(t, &TextMessage{
		Options: Options{To: []string{"1"}, Unknown: rawMembers("new", `{"a":[1]}`, "Body", `"y"`)}, Body: "x",
	}, m)
}

func TestParseMessageNamesTheMember(t *testing.T) {
	for body, want := range map[string]string{
		``: "it is not JSON: unexpected end of JSON input, at byte 0",
		`{"to":["447700900118"],}`: "it is not JSON: invalid character '}' looking for beginning of object key " +
			"string, at byte 24",
		`{} {}`:                       "it is not JSON: invalid character '{' after top-level value, at byte 4",
		"{\"body\":\"\xff\"}":         "it is not JSON: it must be UTF-8",
		`null`:                        "it must be a JSON object",
		`[]`:                          "it must be a JSON object",
		`"x"`:                         "it must be a JSON object",
		`{"type":"mt_fax","body":""}`: "type: use mt_text, mt_binary or mt_media",
		`{"type":"","body":""}`:       "type: use mt_text, mt_binary or mt_media",
		`{"type":1,"body":""}`:        "type: it must be a string",
		`{}`:                          "body: it is missing; a message of this type needs it",
		`{"body":1,"from":2,"max_number_of_message_parts":3}`: "from: it must be a string",
		`{"body":1,"max_number_of_message_parts":3}`:          "body: it must be a string",
		`{"body":null}`:                                       "body: it is missing",
		`{"body":1}`:                                          "body: it must be a string",
		`{"body":"","to":"447700900118"}`:                     "to: it must be a list of strings",
		`{"body":"","to":[447700900118]}`:                     "to: it must be a list of strings",
		`{"body":"","to":["1",null]}`:                         "to: it must be a list of strings",
		`{"body":"","from":12025550100}`:                      "from: it must be a string",
		`{"body":"","delivery_report":false}`:                 "delivery_report: it must be a string",
		`{"body":"","send_at":1755667800}`:                    "send_at: it must be a time such as 2025-08-20T05:30:00Z",
		`{"body":"","expire_at":"tomorrow"}`:                  "expire_at: it must be a time",
		`{"body":"","callback_url":{}}`:                       "callback_url: it must be a string",
		`{"body":"","client_reference":1}`:                    "client_reference: it must be a string",
		`{"body":"","feedback_enabled":"true"}`:               "feedback_enabled: it must be true or false",
		`{"body":"","flash_message":1}`:                       "flash_message: it must be true or false",
		`{"body":"","max_number_of_message_parts":"2"}`:       "max_number_of_message_parts: it must be a whole number",
		`{"body":"","max_number_of_message_parts":1.5}`:       "max_number_of_message_parts: it must be a whole number",
		`{"body":"","max_number_of_message_parts":0}`:         "max_number_of_message_parts: it must be at least 1",
		`{"body":"","max_number_of_message_parts":0.0}`:       "max_number_of_message_parts: it must be at least 1",
		`{"body":"","from_ton":true}`:                         "from_ton: it must be a whole number",
		`{"body":"","parameters":[]}`:                         "parameters: it must be an object of objects",
		`{"body":"","parameters":{"a":null}}`:                 "parameters: it must be an object of objects",
		`{"body":"","parameters":{"a":{"default":1}}}`:        "parameters: it must be an object of objects",
		`{"body":"","parameters":{"a":{"default":null}}}`:     "parameters: it must be an object of objects",
		`{"type":"mt_binary","body":"AA=="}`:                  "udh: it is missing",
		`{"type":"mt_binary","body":"A","udh":""}`:            "body: it must be base64",
		`{"type":"mt_binary","body":"","udh":"6"}`:            "udh: it must be hexadecimal digits",
		`{"type":"mt_binary","body":"","udh":6}`:              "udh: it must be hexadecimal digits",
		`{"type":"mt_media","body":"https://m"}`:              "body: it must be an object with a url",
		`{"type":"mt_media","body":{"url":1}}`:                "body.url: it must be a string",
		`{"type":"mt_media","body":{"subject":[]}}`:           "body.subject: it must be a string",
		`{"type":"mt_media","body":{},"strict_validation":0}`: "strict_validation: it must be true or false",
	} {
		m, err := ParseMessage([]byte(body))
		assert.Nil(t, m, body)
		e, ok := errors.AsType[*InvalidError](err)
		if assert.True(t, ok, body) {
			assert.Contains(t, e.Error(), want)
			assert.True(t, e.Member == "" || strings.HasPrefix(want, e.Member+": "), e.Member)
		}
	}
}

func TestMediaIsDecodedTolerantly(t *testing.T) {
	var m Media
	require.NoError(t, json.Unmarshal([]byte(`{"url":"u","message":5,"subject":null,"unknown":{},"URL":"v"}`), &m))
	require.Equal(t, Media{URL: "u", Message: "5", Unknown: rawMembers("unknown", `{}`, "URL", `"v"`)}, m)
	require.ErrorIs(t, json.Unmarshal([]byte(`"https://m.example.com"`), &m), errNoObject)
}

func TestUnknownMembersMustBeJSON(t *testing.T) {
	_, err := json.Marshal(text(func(m *TextMessage) { m.Unknown = rawMembers("x", `{`) }))
	require.Error(t, err)
}
