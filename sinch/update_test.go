package sinch

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
)

func TestUpdatesAreEncodedAndDecoded(t *testing.T) {
	for want, u := range map[string]Update{
		fixtures.Text(t, "req-update.json"): {
			ToAdd: []string{"12025550190", "01K2NDE5RPA0C7W3B9HYZK4T6M"}, ToRemove: []string{"447700900118"},
			DeliveryReport: new(ReportFull), SendAt: new(time.Date(2025, 8, 20, 6, 0, 0, 0, time.UTC)),
		},
		`{"type":"mt_text","body":"","from":"","parameters":{"n":{"default":"d"}},"flash_message":false,
		  "truncate_concat":true,"max_number_of_message_parts":1,"from_ton":0,"from_npi":0,"feedback_enabled":false,
		  "callback_url":"https://h.example.com","client_reference":"r",
		  "expire_at":"2025-08-20T12:00:00Z","send_at":null,"delivery_report":null,"new":[1]}`: {
			Type: TypeText, Text: new(""), From: new(""), Parameters: Parameters{"n": {"default": "d"}},
			FlashMessage:   new(false),
			TruncateConcat: new(true), MaxParts: new(1), FromTON: new(0), FromNPI: new(0), FeedbackEnabled: new(false),
			CallbackURL: new("https://h.example.com"), ClientReference: new("r"), ExpireAt: new(noon),
			Clear:   []string{"delivery_report", "send_at"},
			Unknown: rawMembers("new", `[1]`),
		},
		`{"type":"mt_binary","body":"eA==","udh":""}`: {Type: TypeBinary, Binary: []byte("x"), UDH: []byte{}},
		`{"type":"mt_media","body":{"url":"https://m.example.com/a.png","subject":"s"},"strict_validation":true}`: {
			Type: TypeMedia, Media: &Media{URL: "https://m.example.com/a.png", Subject: "s"}, StrictValidation: new(true),
		},
		`{"callback_url":null,"expire_at":null,"parameters":null}`: {
			Clear: []string{"callback_url", "expire_at", "parameters"},
		},
	} {
		got, err := ParseUpdate([]byte(want))
		require.NoError(t, err, want)
		require.Equal(t, u, got)
		require.NoError(t, u.Validate(), want)

		b, err := json.Marshal(u)
		require.NoError(t, err)
		require.JSONEq(t, withMilliseconds(want), string(b))
	}
}

func withMilliseconds(s string) string {
	return strings.NewReplacer(":00Z", ":00.000Z").Replace(s)
}

func TestTheTypeFollowsFromTheBody(t *testing.T) {
	for want, u := range map[string]Update{
		`{"type":"mt_text","body":"x"}`:          {Text: new("x")},
		`{"type":"mt_binary","udh":"00"}`:        {UDH: []byte{0}},
		`{"type":"mt_media","body":{"url":"h"}}`: {Media: &Media{URL: "h"}},
		`{"from":"x"}`:                           {From: new("x")},
		`{"type":"mt_binary","from":"x"}`:        {Type: TypeBinary, From: new("x")},
		`{"expire_at":null,"from":"x","other":[]}`: {
			From: new("x"), Clear: []string{"expire_at"}, Unknown: rawMembers("other", `[]`),
		},
		`{"type":"mt_binary","body":"","udh":"0000"}`: {Binary: []byte{}, UDH: []byte{0, 0}},
	} {
		b, err := json.Marshal(u)
		require.NoError(t, err)
		require.JSONEq(t, want, string(b))
		require.LessOrEqual(t, len(u.Unknown), 1, "the caller's map is not changed")
	}
}

func TestParseUpdateNamesTheMember(t *testing.T) {
	for body, want := range map[string]string{
		`{`:                                    "it is not JSON: unexpected end of JSON input",
		`[]`:                                   "it must be a JSON object",
		`{"type":"mt_fax"}`:                    "type: use mt_text, mt_binary or mt_media",
		`{"type":""}`:                          "type: use mt_text",
		`{"to_add":"447700900118"}`:            "to_add: it must be a list of strings",
		`{"to_remove":[1]}`:                    "to_remove: it must be a list of strings",
		`{"body":{"url":"u"}}`:                 "body: it must be a string",
		`{"type":"mt_binary","udh":"x"}`:       "udh: it must be hexadecimal digits",
		`{"type":"mt_media","body":{"url":2}}`: "body.url: it must be a string",
		`{"send_at":""}`:                       "send_at: it must be a time such as",
		`{"feedback_enabled":0}`:               "feedback_enabled: it must be true or false",
	} {
		_, err := ParseUpdate([]byte(body))
		requireInvalid(t, err, want)
	}
}

func TestUpdatesThatBreakARule(t *testing.T) {
	for want, u := range map[string]Update{
		"the update is empty; set what is to change":  {},
		"the update is empty":                         {Type: TypeText, ToAdd: []string{}, Parameters: Parameters{}},
		"body: an update has the body of one type":    {Text: new("x"), UDH: []byte{1}},
		"type: use mt_text, mt_binary or mt_media":    {Type: "mt_fax", From: new("x")},
		"type: it does not match the body, which is":  {Type: TypeText, Media: &Media{URL: "https://m.example.com"}},
		"to_add[0]: it is blank":                      {ToAdd: []string{""}},
		"to_remove: it has more than 1000 entries":    {ToRemove: numbers(1001)},
		"delivery_report: use none, summary":          {DeliveryReport: new(DeliveryReport("x"))},
		"delivery_report: it is empty; clear it":      {DeliveryReport: new(DeliveryReport(""))},
		"callback_url: it is empty; clear it instead": {CallbackURL: new("")},
		"send_at: the zero time cannot be sent":       {SendAt: new(time.Time{})},
		"expire_at: the zero time cannot be sent":     {ExpireAt: new(time.Time{})},
		"expire_at: it must be after send_at":         {SendAt: new(noon), ExpireAt: new(noon)},
		"callback_url: it must be an http://":         {CallbackURL: new("h")},
		"client_reference: it is longer than 2048":    {ClientReference: new(strings.Repeat("x", 2049))},
		"body: it is longer than 2000 characters":     {Text: new(strings.Repeat("x", 2001))},
		"body: it has more than 140 bytes":            {Binary: make([]byte, 141)},
		"body.url: it is missing":                     {Media: &Media{}},
		"parameters.a b: a key must have 1 to 16":     {Parameters: Parameters{"a b": {"default": "x"}}},
		"max_number_of_message_parts: it must be":     {MaxParts: new(0)},
		"from_ton: it must be between":                {FromTON: new(-1)},
		"from_npi: it must be between":                {FromNPI: new(19)},
		"client_reference: it cannot be cleared":      {Clear: []string{"client_reference"}},
		"120******62: it cannot be cleared":           {Clear: []string{"12025550162"}},
		"callback_url: it is set and cleared at once": {CallbackURL: new("https://h"), Clear: []string{"callback_url"}},
		"send_at: it is set and cleared at once":      {Unknown: rawMembers("send_at", `"x"`), Clear: []string{"send_at"}},
		"new: it is not JSON":                         {Unknown: rawMembers("new", `{`)},
	} {
		t.Run(want, func(t *testing.T) {
			up := newUpstream(t, respond(http.StatusOK, `{"id":"`+testBatch+`"}`))
			_, err := up.client(t).Update(t.Context(), testBatch, u)
			requireInvalid(t, err, want)
			require.ErrorContains(t, err, "sinch: update batch: ")
			require.Empty(t, up.requests())
		})
	}
}
