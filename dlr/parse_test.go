package dlr

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// members is the JSON object of a report under construction.
type members map[string]any

// raw returns a member's value from JSON text.
func raw(s string) json.RawMessage { return json.RawMessage(s) }

func recipientMembers() members {
	return members{
		"type": RecipientSMS, "batch_id": "01K2S9A1V5K3C8MEX7RQ0YBD4W", "recipient": "447700900133", "code": 0,
		"status": Delivered, "at": "2025-08-18T10:02:19.531Z", "operator_status_at": "2025-08-18T10:02:00Z",
		"client_reference": "otp/8a02", "applied_originator": "12025550100", "encoding": "GSM", "operator": "310260",
		"number_of_message_parts": 2,
	}
}

func batchMembers(entries ...any) members {
	return members{
		"type": BatchSMS, "batch_id": "01K2QH7M3R8ZC5TNV0E4WXJ6AD", "total_message_count": 5, "statuses": entries,
	}
}

// with returns a copy of m with one member replaced.
func (m members) with(name string, value any) members {
	changed := members{name: value}
	for n, v := range m {
		if n != name {
			changed[n] = v
		}
	}
	return changed
}

// without returns a copy of m without one member.
func (m members) without(name string) members {
	changed := m.with(name, nil)
	delete(changed, name)
	return changed
}

func (m members) json(t require.TestingT) []byte {
	body, err := json.Marshal(m)
	require.NoError(t, err)
	return body
}

func (m members) report(t require.TestingT) *Report {
	got, err := Parse(m.json(t))
	require.NoError(t, err)
	require.NotNil(t, got.Report)
	return got.Report
}

func (m members) fault(t require.TestingT) *ParseError {
	got, err := Parse(m.json(t))
	var fault *ParseError
	require.ErrorAs(t, err, &fault)
	require.Nil(t, got.Report)
	return fault
}

func TestBodiesThatAreNotAJSONObject(t *testing.T) {
	for _, body := range []string{
		"", " ", "\xef\xbb\xbf", "[]", `[{"type":"delivery_report_sms"}]`, `"text"`, "12025550143", "true", "{", `{"type":}`,
		`{"type":"mo_text"} {}`, `{'type':'mo_text'}`, "<html>", "type=mo_text", "\x00", "{\"type\":\"mo_text\"}\x00",
		`{"x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `,"type":"mo_text"}`,
	} {
		t.Run(fmt.Sprintf("%.20q", body), func(t *testing.T) {
			got, err := Parse([]byte(body))
			var fault *ParseError
			require.ErrorAs(t, err, &fault)
			require.Equal(t, NotJSON, fault.Reason)
			require.ErrorIs(t, err, fault.Err, "the cause is wrapped")
			require.Zero(t, got)
			require.True(t, strings.HasPrefix(err.Error(), "not a JSON object: "), err.Error())
			require.NotContains(t, err.Error(), "12025550143")
		})
	}
}

func TestMissingRequiredMembers(t *testing.T) {
	long := strings.Repeat("7", 300)
	entry := members{"status": "Failed", "code": 1, "count": 1}
	cases := []struct {
		name   string
		body   members
		reason Reason
		text   string
	}{
		{"no type", recipientMembers().without("type"), NoType, `no member "type"`},
		{"null type", recipientMembers().with("type", nil), NoType, ""},
		{"empty type", recipientMembers().with("type", ""), NoType, ""},
		{"type of another kind", recipientMembers().with("type", []int{1}), NoType, ""},
		{"unknown type", members{"type": "price_report"}, UnknownType, `unknown type "price_report"`},
		{"type in other case", recipientMembers().with("type", "MO_TEXT"), UnknownType, ""},
		{"no batch", recipientMembers().without("batch_id"), NoBatchID, "recipient_delivery_report_sms: no batch id"},
		{"empty batch", batchMembers().with("batch_id", ""), NoBatchID, ""},
		{"blank batch", batchMembers().with("batch_id", " \t"), NoBatchID, ""},
		{"null batch", batchMembers().with("batch_id", nil), NoBatchID, ""},
		{"batch id that no store " +
			"could keep", batchMembers().with("batch_id", long), NoBatchID, "delivery_report_sms: the batch id " +
			"has more than 255 bytes"},
		{"inbound message without id", members{"type": MOText, "body": "STOP"}, NoID, "mo_text: no id"},
		{"inbound message with a blank id", members{"type": MOMedia, "id": " "}, NoID, ""},
		{
			"inbound message with an id that no store could keep",
			members{"type": MOText, "id": long},
			NoID,
			"mo_text: the id has more than 255 bytes",
		},
		{"no recipient", recipientMembers().without("recipient"), NoRecipient, "recipient_delivery_report_sms: no recipient"},
		{"recipient of separators only", recipientMembers().with("recipient", "+ (-)"), NoRecipient, ""},
		{"null recipient", recipientMembers().with("recipient", nil), NoRecipient, ""},
		{"list as recipient", recipientMembers().with("recipient", []string{"447700900133"}), NoRecipient, ""},
		{"recipient that no store could keep", recipientMembers().with("recipient", long), NoRecipient, ""},
		{"no status", recipientMembers().without("status"), NoStatus, "recipient_delivery_report_sms: no status"},
		{"blank status", recipientMembers().with("status", "  "), NoStatus, ""},
		{"status of another kind", recipientMembers().with("status", false), NoStatus, ""},
		{"status that is no word", recipientMembers().with("status", long), NoStatus, ""},
		{"no statuses", batchMembers().without("statuses"), NoStatus, "delivery_report_sms: no status"},
		{"null statuses", batchMembers().with("statuses", nil), NoStatus, ""},
		{"object as statuses", batchMembers().with("statuses", entry), NoStatus, ""},
		{"text as statuses", batchMembers().with("statuses", "Delivered"), NoStatus, ""},
		{"number as statuses", batchMembers().with("statuses", 5), NoStatus, ""},
		{"one entry without status", batchMembers(entry, members{"code": 0, "count": 2}), NoStatus, ""},
		{"one entry null", batchMembers(entry, nil), NoStatus, ""},
		{"one entry no object", batchMembers(entry, 7, entry), NoStatus, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			fault := c.body.fault(t)
			require.Equal(t, c.reason, fault.Reason)
			require.Contains(t, Reasons(), fault.Reason)
			require.Contains(t, fault.Error(), c.text)
			require.NotContains(t, fault.Error(), "447700900133")
		})
	}
}

func TestAnUnknownTypeIsBounded(t *testing.T) {
	m := members{"type": strings.Repeat("é", 50_000)}
	got, err := Parse(m.json(t))
	require.Less(t, len(err.Error()), 200)
	require.Len(t, got.Type, maxType)
	require.Equal(t, got.Type, m.fault(t).Type)

	got, _ = Parse(members{"type": "x" + strings.Repeat("é", 50)}.json(t))
	require.True(t, utf8.ValidString(string(got.Type)), "no truncated character")
}

func TestAnInboundMessageIsNotAReport(t *testing.T) {
	for _, typ := range []Type{MOText, MOBinary, MOMedia} {
		got, err := Parse(members{
			"type": typ, "id": 5, "batch_id": 5, "statuses": "x", "body": members{"media": nil},
		}.json(t))
		require.NoError(t, err)
		require.Equal(t, Callback{Type: typ, Inbound: &Inbound{Type: typ, ID: "5"}}, got)
	}
}

func TestAnInboundMessageIsReadTolerantly(t *testing.T) {
	long := strings.Repeat("7", 70)
	for name, c := range map[string]struct {
		body members
		want Inbound
	}{
		"wrong types": {
			members{"from": []int{1}, "to": true, "body": 5, "received_at": "now", "sent_at": 0}, Inbound{Text: "5"},
		},
		"nulls": {members{"from": nil, "to": nil, "body": nil, "operator_id": nil}, Inbound{}},
		"numbers as numbers": {
			members{"from": 12025550180, "to": 54321, "operator_id": 310260},
			Inbound{From: "12025550180", To: "54321", Operator: "310260"},
		},
		"long numbers":  {members{"from": "é" + long, "to": long}, Inbound{From: "é" + long[:62], To: long[:64]}},
		"NUL":           {members{"body": "a\x00b"}, Inbound{Text: "a\ufffdb"}},
		"a long text":   {members{"body": strings.Repeat("é", 5000)}, Inbound{Text: strings.Repeat("é", 5000)}},
		"other members": {members{"keyword": "STOP", "udh": "00"}, Inbound{}},
	} {
		t.Run(name, func(t *testing.T) {
			c.body["type"], c.body["id"] = MOText, "mo"
			c.want.Type, c.want.ID = MOText, "mo"
			got, err := Parse(c.body.json(t))
			require.NoError(t, err)
			require.Equal(t, c.want, *got.Inbound)
		})
	}
}

func BenchmarkParse(b *testing.B) {
	body := signedBody(b)
	b.ReportAllocs()
	for b.Loop() {
		c, err := Parse(body)
		require.NoError(b, err)
		_ = c
	}
}

func BenchmarkParseFullReport(b *testing.B) {
	recipients := make([]string, 10_000)
	for i := range recipients {
		recipients[i] = fmt.Sprintf("44770%07d", i)
	}
	entry := members{"code": 0, "status": "Delivered", "count": len(recipients), "recipients": recipients}
	body := batchMembers(entry).json(b)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		_, err := Parse(body)
		require.NoError(b, err)
	}
}
