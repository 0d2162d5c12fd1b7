package dlr

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
)

// checkParse checks what must hold for every result of Parse.
func checkParse(t testing.TB, body []byte) {
	got, err := Parse(body)
	again, _ := Parse(body)
	require.Equal(t, got, again)
	if err != nil {
		var fault *ParseError
		require.ErrorAs(t, err, &fault)
		require.Contains(t, Reasons(), fault.Reason)
		require.NotEmpty(t, fault.Error())
		require.LessOrEqual(t, len(fault.Type), maxType)
		require.Nil(t, got.Report)
		return
	}
	require.True(t, got.Type.Known())
	require.Equal(t, got.Type.Inbound(), got.Report == nil)
	if got.Report != nil {
		checkReport(t, got.Type, got.Report)
	}
}

func checkReport(t testing.TB, typ Type, r *Report) {
	require.Equal(t, typ, r.Type)
	require.NotEmpty(t, r.BatchID)
	require.LessOrEqual(t, len(r.BatchID), MaxBatchID)
	require.GreaterOrEqual(t, r.Total, 0)
	require.GreaterOrEqual(t, r.Parts, 0)
	for _, s := range []string{r.BatchID, r.ClientReference, r.AppliedOriginator, r.Encoding, r.Operator} {
		requireStorable(t, s)
	}
	if typ.Recipient() {
		require.Len(t, r.Entries, 1)
		require.Len(t, r.Entries[0].Recipients, 1)
		require.Equal(t, 1, r.Entries[0].Count)
	}
	require.LessOrEqual(t, len(r.Entries), maxStatuses)
	for _, e := range r.Entries {
		require.NotEmpty(t, e.Status)
		require.LessOrEqual(t, len(e.Status), maxStatus)
		requireStorable(t, string(e.Status))
		require.GreaterOrEqual(t, e.Code, NoCode)
		require.GreaterOrEqual(t, e.Count, 0)
		for _, at := range []time.Time{e.At, e.OperatorAt} {
			require.Equal(t, time.UTC, at.Location())
			require.True(t, at.IsZero() || at.UnixMilli() > 0 && at.Year() <= 9999, at)
		}
		require.True(t, e.Recipients == nil || len(e.Recipients) > 0)
		for _, n := range e.Recipients {
			require.NotEmpty(t, Digits(n))
			require.LessOrEqual(t, len(n), MaxNumber)
			requireStorable(t, n)
		}
	}
	require.Equal(t, r.ContentKey(), r.ContentKey())
}

func requireStorable(t testing.TB, s string) {
	require.True(t, utf8.ValidString(s) && !strings.Contains(s, "\x00"), "%q", s)
}

func FuzzParse(f *testing.F) {
	for _, name := range fixtures.Names(f, "*.json") {
		f.Add(fixtures.Read(f, name))
	}
	for _, seed := range []string{
		"", "null", "[]", "{}", `{"type":5}`, "\xef\xbb\xbf{}",
		`{"type":"delivery_report_sms","batch_id":"a","statuses":null}`,
		`{"type":"delivery_report_sms","batch_id":"a","statuses":[{"status":"x","code":1e3,"recipients":[1.5e10,null,{}]}]}`,
		`{"type":"recipient_delivery_report_sms","batch_id":1,"recipient":"\u0000\ud800","status":" \u0130 ",` +
			`"code":-9,"at":"0000-01-01"}`,
		`{"type":"delivery_report_mms","batch_id":"a","statuses":[{"status":"x"}],"STATUSES":[{}],"statuses":{}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) { checkParse(t, body) })
}

// written returns s as one of the JSON values that mean the same.
func written(t *rapid.T, s string, number bool) json.RawMessage {
	quoted, err := json.Marshal(s)
	require.NoError(t, err)
	forms := []string{string(quoted), string(quoted)}
	if s != "" {
		forms = append(forms, `"\u00`+hexByte(s[0])+s[1:]+`"`)
	}
	if number {
		forms = append(forms, s, s+".0", s+"e0")
	}
	return json.RawMessage(rapid.SampledFrom(forms).Draw(t, "form"))
}

func hexByte(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}

func TestEveryEncodingOfARecipientReportParsesTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state := drawState(t)
		state.Code = rapid.IntRange(0, 5000).Draw(t, "code")
		number := drawNumber(t, "recipient")
		batch := rapid.StringMatching(`[0-9A-Za-z_-]{1,40}`).Draw(t, "batch")
		m := members{
			"type": RecipientSMS, "batch_id": written(t, batch, false), "recipient": written(t, number, true),
			"code": written(t, jsonText(state.Code), true), "status": written(t, anyCase(t, string(state.Status)), false),
			"at": stamp(t, state.At), "operator_status_at": stamp(t, state.OperatorAt),
		}
		for range rapid.IntRange(0, 3).Draw(t, "unknown members") {
			name := "x_" + rapid.StringMatching(`[a-z]{1,5}`).Draw(t, "name")
			m[name] = rapid.SampledFrom([]any{nil, 1.5, "x", []int{1}, members{"type": "y"}}).Draw(t, "value")
		}
		want := &Report{Type: RecipientSMS, BatchID: batch, Total: 1, Entries: recipientEntry(number, state)}
		require.Equal(t, want, m.report(t))
	})
}

func jsonText(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// anyCase changes the case of documented statuses only, because others are kept as received.
func anyCase(t *rapid.T, status string) string {
	if !Status(status).Known() {
		return status
	}
	forms := []func(string) string{strings.ToUpper, strings.ToLower, strings.Clone}
	return rapid.SampledFrom(forms).Draw(t, "case")(status)
}

func stamp(t *rapid.T, moment time.Time) any {
	if moment.IsZero() {
		return rapid.SampledFrom([]any{nil, "", "soon", 0, "0001-01-01T00:00:00Z"}).Draw(t, "no time")
	}
	form := rapid.SampledFrom([]string{
		time.RFC3339Nano, "2006-01-02T15:04:05.0000000-0700", "2006-01-02 15:04:05.000",
	}).Draw(t, "time")
	return moment.Format(form)
}
