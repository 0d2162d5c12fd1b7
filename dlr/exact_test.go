package dlr

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// recipientBody returns a recipient report with status Failed, followed by the added members.
func recipientBody(added string) []byte {
	return []byte(`{"type":"recipient_delivery_report_sms","batch_id":"FOLD1","recipient":"447700900101","code":153,` +
		`"status":"Failed","at":"2026-11-29T12:00:00.000Z"` + added + `}`)
}

func TestMemberNamesAreCaseSensitive(t *testing.T) {
	want, err := Parse(recipientBody(""))
	require.NoError(t, err)
	require.Equal(t, Failed, want.Report.Entries[0].Status)
	for _, added := range []string{
		`,"Status":"Delivered"`, `,"STATUS":"Delivered"`, `,"\u0053tatus":"Delivered"`, `,"ſtatus":"Delivered"`,
		`,"\u017ftatus":"Delivered"`, `,"status ":"Delivered"`, `,"Code":0`, `,"At":"2027-01-01T00:00:00Z"`,
		`,"Batch_ID":"OTHER","BATCH_ID":"OTHER","batchId":"OTHER"`, `,"Recipient":"447700900999"`,
		`,"Type":"delivery_report_sms","Statuses":[]`, `,"Client_Reference":"x"`, `,"":"Delivered"`,
	} {
		got, err := Parse(recipientBody(added))
		require.NoError(t, err, added)
		require.Equal(t, want, got, added)
	}
	got, err := Parse([]byte(`{"type":"delivery_report_sms","batch_id":"b","total_message_count":1,"statuses":[` +
		`{"code":0,"Code":1,"status":"Failed","Status":"Delivered","count":1,"COUNT":9,"recipients":["1"],` +
		`"Recipients":["2"]}]}`))
	require.NoError(t, err)
	require.Equal(t, []Entry{{State: State{Status: Failed}, Count: 1, Recipients: []string{"1"}}}, got.Report.Entries)
	for body, reason := range map[string]Reason{
		`{"Type":"mo_text"}`: NoType,
		`{"type":"recipient_delivery_report_sms","Batch_id":"b"}`:                            NoBatchID,
		`{"type":"recipient_delivery_report_sms","batch_id":"b","Recipient":"1"}`:            NoRecipient,
		`{"type":"recipient_delivery_report_sms","batch_id":"b","recipient":"1","Status":1}`: NoStatus,
		`{"type":"delivery_report_sms","batch_id":"b","Statuses":[]}`:                        NoStatus,
		`{"type":"delivery_report_sms","batch_id":"b","statuses":[{"Status":"Failed"}]}`:     NoStatus,
	} {
		_, err := Parse([]byte(body))
		var fault *ParseError
		require.ErrorAs(t, err, &fault, body)
		require.Equal(t, reason, fault.Reason, body)
	}
}

func TestTheLastMemberOfANameCounts(t *testing.T) {
	for added, status := range map[string]Status{
		`,"status":"Delivered"`: Delivered, `,"\u0073tatus":"Delivered"`: Delivered,
		`,"status":"Delivered","status":"Expired"`: Expired,
		`,"status":null`: "", `,"status":{}`: "", `,"status":""`: "",
	} {
		got, err := Parse(recipientBody(added))
		if status == "" {
			require.EqualError(t, err, "recipient_delivery_report_sms: no status", added)
			continue
		}
		require.NoError(t, err, added)
		require.Equal(t, status, got.Report.Entries[0].Status, added)
	}
	got, err := Parse(recipientBody(`,"code":null,"at":"never"`))
	require.NoError(t, err)
	require.Equal(t, State{Status: Failed, Code: NoCode}, got.Report.Entries[0].State)
}

type exactInner struct {
	Status string `json:"status"`
	Count  int    `json:"count"`
}

type exactOuter struct {
	Name  string                `json:"name"`
	One   exactInner            `json:"one"`
	Maybe *exactInner           `json:"maybe"`
	List  []exactInner          `json:"list"`
	ByKey map[string]exactInner `json:"by_key"`
	Raw   json.RawMessage       `json:"raw"`
	At    time.Time             `json:"at"`
	Plain string
}

func TestUnmarshalExact(t *testing.T) {
	for body, want := range map[string]exactOuter{
		`{"name":"a","Name":"b","NAME":"c"}`:                 {Name: "a"},
		`{"Name":"b"}`:                                       {},
		`{"name":"a","name":"b"}`:                            {Name: "b"},
		`{"name":"a","name":null}`:                           {},
		`{"one":{"status":"x","count":1},"one":{"count":2}}`: {One: exactInner{Count: 2}},
		`{"one":{"Status":"x","count":1,"\u0063ount":3}}`:    {One: exactInner{Count: 3}},
		`{"maybe":{"status":"x","Status":"y"}}`:              {Maybe: &exactInner{Status: "x"}},
		`{"maybe":null,"list":null,"by_key":null}`:           {},
		`{"list":[{"Status":"y"},{"status":"z"}]}`:           {List: []exactInner{{}, {Status: "z"}}},
		`{"by_key":{"A":{"STATUS":"y","count":1},"a":{"status":"z"}}}`: {
			ByKey: map[string]exactInner{"A": {Count: 1}, "a": {Status: "z"}},
		},
		`{"raw": {"Status": 1, "status": 2}, "RAW": 3}`: {
			Raw: json.RawMessage(`{"Status": 1, "status": 2}`),
		},
		`{"at":"2026-11-29T12:00:00Z","AT":"2027-11-29T12:00:00Z","kept":"x"}`: {At: at("2026-11-29 12:00:00.000")},
		`{"Plain":"x","plain":"y"}`: {Plain: "x"},
		`null`:                      {},
	} {
		var got exactOuter
		require.NoError(t, UnmarshalExact([]byte(body), &got), body)
		require.Equal(t, want, got, body)
	}
	for _, body := range []string{
		``, `{`, `[]`, `"x"`, `{"name":1}`, `{"list":{}}`, `{"list":[1]}`, `{"name":"a"} {}`, `{"one":[]}`,
	} {
		var direct, exact exactOuter
		require.Equal(t, json.Unmarshal([]byte(body), &direct), UnmarshalExact([]byte(body), &exact), body)
	}
}

func TestUnmarshalStrict(t *testing.T) {
	var got exactOuter
	require.NoError(t, UnmarshalStrict([]byte(`{"name":"a","one":{"count":1},"by_key":{"any":{}}}`), &got))
	for body, name := range map[string]string{
		`{"Name":"b"}`: `"Name"`, `{"one":{"Count":1}}`: `"Count"`, `{"list":[{},{"other":1}]}`: `"other"`,
		`{"kept":"x"}`:                    `"kept"`,
		`{"by_key":{"A":{"STATUS":"y"}}}`: `"STATUS"`,
	} {
		require.EqualError(t, UnmarshalStrict([]byte(body), &got), "unknown member "+name, body)
	}
}
