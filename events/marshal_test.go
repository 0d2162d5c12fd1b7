package events_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/events"
	"github.com/dlrloop/dlrloop/store"
)

// at is the time of the sample events, in another zone than UTC.
var at = time.Date(2026, 3, 1, 11, 0, 0, 123e6, time.FixedZone("CET", 3600))

const mo = `{"type":"mo_text","id":"M1","from":"447700900133","to":"54321","body":"STOP <now> & \u0000",
	"operator_id":"23415","sent_at":"2026-03-01T09:59:58Z","received_at":"2026-03-01T09:59:59.5Z", "more":[1.0, null]}`

func TestMarshal(t *testing.T) {
	batch := store.Event{At: at, Plan: "acme", BatchID: "01B", Version: 1772359200123, ClientReference: "order 1"}
	of := func(e store.Event, kind store.EventType, change func(*store.Event)) store.Event {
		e.Type = kind
		change(&e)
		return e
	}
	status := func(s dlr.State) func(*store.Event) {
		return func(e *store.Event) { e.Number, e.State = "+447700900133", s }
	}
	const head = `"timestamp":"2026-03-01T10:00:00.123Z","data":{"plan":"acme",`
	const inBatch = head + `"batch_id":"01B","version":1772359200123,"client_reference":"order 1",`
	for _, c := range []struct {
		name  string
		event store.Event
		want  string // without the id
	}{
		{
			"status", of(batch, store.RecipientStatus, status(dlr.State{
				Status: dlr.Failed, Code: 153, At: at.Add(-time.Second), OperatorAt: at.Add(-time.Minute),
			})),
			`"type":"recipient.status",` + inBatch + `"recipient":"+447700900133","status":"Failed","code":153,` +
				`"code_name":"absent subscriber","code_class":"hlr","permanence":"temporary","final":true,` +
				`"at":"2026-03-01T09:59:59.123Z","operator_status_at":"2026-03-01T09:59:00.123Z"}}`,
		},
		{
			"status without code and times",
			of(batch, store.RecipientStatus, status(dlr.State{Status: "Paused", Code: dlr.NoCode})),
			`"type":"recipient.status",` + inBatch + `"recipient":"+447700900133","status":"Paused",` +
				`"code_name":"no code","code_class":"other","permanence":"unset","final":false}}`,
		},
		{
			"completed", of(batch, store.BatchCompleted, func(e *store.Event) {
				e.ClientReference = ""
				e.Counts = []store.StatusCount{{Status: dlr.Delivered, Code: 0, Messages: 2}}
			}),
			`"type":"batch.completed",` + head + `"batch_id":"01B","version":1772359200123,` +
				`"counts":[{"status":"Delivered","code":0,"code_name":"no error, or unknown error",` +
				`"code_class":"none","permanence":"temporary","final":true,"messages":2}]}}`,
		},
		{
			"accepted", of(batch, store.FeedbackAccepted, func(e *store.Event) { e.Recipients = []string{"1", "2"} }),
			`"type":"feedback.accepted",` + inBatch + `"recipients":["1","2"]}}`,
		},
		{
			"dead", of(batch, store.FeedbackGivenUp, func(e *store.Event) {
				e.WholeBatch, e.Reason, e.Detail = true, store.ReasonRejected, "400 <html>"
			}),
			`"type":"feedback.dead",` + inBatch +
				`"recipients":[],"whole_batch":true,"reason":"rejected","detail":"400 <html>"}}`,
		},
		{
			"inbound",
			store.Event{
				Type: store.InboundReceived, At: at, Plan: "acme", Key: "M1", ClientReference: "r", Raw: []byte(mo),
			},
			`"type":"inbound.received",` + head + `"inbound_id":"M1","from":"447700900133","to":"54321",` +
				`"body":"STOP <now> & ` + "\ufffd" + `","client_reference":"r","operator_id":"23415",` +
				`"sent_at":"2026-03-01T09:59:58.000Z","received_at":"2026-03-01T09:59:59.500Z","callback":` +
				`{"type":"mo_text","id":"M1","from":"447700900133","to":"54321","body":"STOP <now> & \u0000",` +
				`"operator_id":"23415","sent_at":"2026-03-01T09:59:58Z","received_at":"2026-03-01T09:59:59.5Z",` +
				`"more":[1.0,null]}}}`,
		},
		{
			"inbound without a body",
			store.Event{Type: store.InboundReceived, At: at, Plan: "acme", Key: "M1"},
			`"type":"inbound.received",` + head + `"inbound_id":"M1"}}`,
		},
		{
			"quarantined",
			store.Event{
				Type: store.CallbackQuarantined, At: at, Plan: "acme", Key: "7", Misread: dlr.UnknownType,
				CallbackType: "delivery_report_rcs", Raw: []byte("not shown"),
			},
			`"type":"callback.quarantined",` + head +
				`"key":"7","reason":"unknown_type","callback_type":"delivery_report_rcs"}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := events.Marshal(&c.event)
			require.NoError(t, err)
			require.Equal(t, `{"id":"`+c.event.ID()+`",`+c.want, string(got))
		})
	}
}

// Every type that applications receive has a JSON form.
func TestMarshalKnowsEveryType(t *testing.T) {
	for _, kind := range store.EventTypes() {
		_, err := events.Marshal(&store.Event{Type: kind})
		require.NoError(t, err, kind)
	}
	for _, kind := range []store.EventType{store.ReportReceived, "", "new.type"} {
		_, err := events.Marshal(&store.Event{Type: kind})
		require.Error(t, err, kind)
	}
}

// maxDepth is how deep a callback may be nested that an event has as JSON.
const maxDepth = 32

// nested returns a callback with an array nested in the callback this deep.
func nested(arrays int) string {
	return `{"more":` + strings.Repeat("[", arrays) + strings.Repeat("]", arrays) + "}"
}

// A callback that is not JSON in UTF-8 is shown in Base64, and any text yields valid JSON in one line.
func TestMarshalStrangeBytes(t *testing.T) {
	huge := strings.Repeat("\U0001f600\n", 1<<18)
	for name, raw := range map[string]string{
		"empty":                 "",
		"not JSON":              "<html>\n",
		"half":                  `{"type":"mo_text","id":"1","body":"`,
		"two values":            `{"type":"mo_text"} {}`,
		"a value too many":      `{}]`,
		"invalid UTF-8":         "{\"type\":\"mo_text\",\"id\":\"1\",\"body\":\"\xff\xfe\"}",
		"NUL":                   "\x00",
		"deeper than JSON may":  strings.Repeat("[", 20000) + strings.Repeat("]", 20000),
		"too deep for parsers":  nested(maxDepth),
		"as deep as allowed":    nested(maxDepth - 1),
		"brackets in a text":    `{"type":"mo_text","id":"1","body":"` + strings.Repeat(`\"[{`, 100) + `"}`,
		"huge":                  `{"type":"mo_text","id":"1","body":"` + huge + `"}`,
		"text with NUL and BOM": "\xef\xbb\xbf{\"type\":\"mo_text\"\r\n,\"id\":\"1\",\"body\":\"a\\u0000\u2028</script>\"}\n",
	} {
		t.Run(name, func(t *testing.T) {
			e := store.Event{
				Type: store.InboundReceived, At: at, Plan: "\xff\x00\"", Key: "\n\\", ClientReference: huge, Raw: []byte(raw),
			}
			line, err := events.Marshal(&e)
			require.NoError(t, err)
			require.True(t, utf8.Valid(line))
			require.NotContains(t, string(line), "\n")
			require.NotContains(t, string(line), "\r")
			var got struct {
				ID   string
				Data struct {
					Plan      string
					InboundID string `json:"inbound_id"`
					Callback  json.RawMessage
					Base64    string `json:"callback_base64"`
				}
			}
			require.NoError(t, json.Unmarshal(line, &got))
			require.Equal(t, e.ID(), got.ID)
			require.Equal(t, "\ufffd\x00\"", got.Data.Plan)
			require.Equal(t, "\n\\", got.Data.InboundID)
			plain := strings.TrimPrefix(raw, "\xef\xbb\xbf")
			if utf8.ValidString(plain) && json.Valid([]byte(plain)) && plain != nested(maxDepth) {
				require.JSONEq(t, plain, string(got.Data.Callback))
				require.Empty(t, got.Data.Base64)
				return
			}
			require.Nil(t, got.Data.Callback)
			body, err := base64.StdEncoding.DecodeString(got.Data.Base64)
			require.NoError(t, err)
			require.Equal(t, raw, string(body))
		})
	}
}

// The same event always has the same JSON.
func TestMarshalIsDeterministic(t *testing.T) {
	e := store.Event{Type: store.InboundReceived, At: at, Plan: "acme", Key: "M1", Raw: []byte(mo)}
	first, err := events.Marshal(&e)
	require.NoError(t, err)
	for range 20 {
		again, err := events.Marshal(&e)
		require.NoError(t, err)
		require.Equal(t, string(first), string(again))
	}
}

func FuzzMarshal(f *testing.F) {
	f.Add("acme", []byte(mo))
	f.Add("\xff", []byte("{\x00"))
	f.Fuzz(func(t *testing.T, text string, raw []byte) {
		for _, e := range []store.Event{
			{Type: store.InboundReceived, Plan: text, Key: text, ClientReference: text, Raw: raw},
			{Type: store.RecipientStatus, Plan: text, BatchID: text, Number: text, State: dlr.State{Status: dlr.Status(text)}},
			{Type: store.FeedbackGivenUp, Plan: text, Recipients: []string{text}, Reason: store.Reason(text), Detail: text},
			{Type: store.CallbackQuarantined, Key: text, Misread: dlr.Reason(text), CallbackType: dlr.Type(text)},
		} {
			line, err := events.Marshal(&e)
			require.NoError(t, err)
			require.True(t, json.Valid(line) && utf8.Valid(line))
			require.NotContains(t, string(line), "\n")
		}
	})
}
