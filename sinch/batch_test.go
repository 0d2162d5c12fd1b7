package sinch

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
)

func TestGetBatch(t *testing.T) {
	u := newUpstream(t, respond(http.StatusOK, fixtures.Text(t, "res-send-text-201.json")))
	b, err := u.client(t).GetBatch(t.Context(), testBatch)
	require.NoError(t, err)
	require.Equal(t, &Batch{
		ID:              testBatch,
		Type:            "mt_text",
		To:              []string{"447700900118", "01K2NDE5RPA0C7W3B9HYZK4T6M", "46701740607"},
		From:            "12025550100",
		Body:            json.RawMessage(`"Hi ${name}, your code is ${code}."`),
		FeedbackEnabled: true,
		DeliveryReport:  ReportPerRecipientFinal,
		Parameters: Parameters{
			"name": {"+447700900118": "Ada", "default": "there"},
			"code": {"+447700900118": "4711", "default": "0000"},
		},
		ClientReference: "otp/8a02",
		CallbackURL:     "https://hooks.example.com/sinch/sms?tenant=a",
		CreatedAt:       time.Date(2025, 8, 19, 16, 20, 5, 118e6, time.UTC),
		ModifiedAt:      time.Date(2025, 8, 19, 16, 20, 5, 118e6, time.UTC),
		SendAt:          time.Date(2025, 8, 20, 5, 30, 0, 0, time.UTC),
		ExpireAt:        time.Date(2025, 8, 21, 5, 30, 0, 0, time.UTC),
	}, b)
	require.Equal(t, []string{"447700900118", "46701740607"}, b.Numbers())
	require.Equal(t, 1, b.Groups())
	require.Equal(t, "Hi ${name}, your code is ${code}.", b.Text())
	require.Equal(t, "/xms/v1/"+testPlan+"/batches/"+testBatch, u.requests()[0].URI)
	require.Equal(t, http.MethodGet, u.requests()[0].Method)
}

func TestGetBatchReadsTolerantly(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		want Batch
	}{
		"only an id": {`{"id":"b"}`, Batch{ID: "b"}},
		"unknown members": {
			`{"id":"b","tags":["x"],"to":[1,"2",{"a":1}],"more":{},"ID":"c"}`,
			Batch{ID: "b", To: []string{"1", "2"}, Unknown: rawMembers("tags", `["x"]`, "more", `{}`, "ID", `"c"`)},
		},
		"numeric id": {
			`{"id":12,"client_reference":7,"from":12025550100}`,
			Batch{ID: "12", ClientReference: "7", From: "12025550100"},
		},
		"texts for numbers": {
			`{"id":"b","from_ton":"1","from_npi":18,"max_number_of_message_parts":" 3 ","canceled":"true",` +
				`"flash_message":"false"}`,
			Batch{ID: "b", FromTON: new(1), FromNPI: new(18), MaxParts: 3, Canceled: true},
		},
		"whole numbers in any form": {
			`{"id":3.0,"to":[4.477e11],"from_ton":"1.0","from_npi":1e1,"max_number_of_message_parts":3.0}`,
			Batch{ID: "3", To: []string{"447700000000"}, FromTON: new(1), FromNPI: new(10), MaxParts: 3},
		},
		"a number that no field holds": {
			`{"id":"b","max_number_of_message_parts":2147483648}`,
			Batch{ID: "b", Unknown: rawMembers("max_number_of_message_parts", `2147483648`)},
		},
		"numbers for texts": {
			`{"id":"b","parameters":{"n":{"default":5}},"udh":"00","truncate_concat":true,"strict_validation":true}`,
			Batch{
				ID: "b", Parameters: Parameters{"n": {"default": "5"}}, UDH: "00", TruncateConcat: true,
				StrictValidation: true,
			},
		},
		"other types": {
			`{"to":"x","id":"b","type":{},"client_reference":[1],"created_at":5,"canceled":1,"feedback_enabled":"True",` +
				`"parameters":{"n":{"default":[]}},"from_ton":"x","send_at":"soon"}`,
			Batch{ID: "b", FeedbackEnabled: true, Unknown: rawMembers(
				"to", `"x"`, "type", `{}`, "client_reference", `[1]`, "created_at", `5`, "canceled", `1`,
				"parameters", `{"n":{"default":[]}}`, "from_ton", `"x"`, "send_at", `"soon"`,
			)},
		},
		"nulls": {
			`{"id":"b","to":null,"feedback_enabled":null,"send_at":null,"more":null}`, Batch{ID: "b"},
		},
		"NUL": {
			`{"id":"b","client_reference":"a\u0000b"}`, Batch{ID: "b", ClientReference: "a\ufffdb"},
		},
		"a reference over the limit": {
			`{"id":"b","client_reference":"` + strings.Repeat("é", 3000) + `"}`,
			Batch{ID: "b", ClientReference: strings.Repeat("é", 2048)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, respond(http.StatusOK, test.body))
			b, err := u.client(t).GetBatch(t.Context(), test.want.ID)
			require.NoError(t, err)
			require.Equal(t, &test.want, b)
		})
	}
}

// A server that answers 200 to everything must not make a batch look as if it did not want feedback.
func TestGetBatchRejectsAnswersAboutAnotherBatch(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":       ``,
		"an empty one":  `{}`,
		"another batch": `{"id":"other","feedback_enabled":false}`,
		"another case":  `{"id":"01k2qhbt0f9g2ksy7p3m1dqx8r"}`,
		"a page":        `<html><body>Please log in</body></html>`,
		"a list":        `[{"id":"` + testBatch + `"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, respond(http.StatusOK, body))
			_, err := u.client(t).GetBatch(t.Context(), testBatch)
			e, ok := errors.AsType[*Error](err)
			require.True(t, ok, err)
			assert.Equal(t, http.StatusOK, e.HTTPStatus)
			assert.Equal(t, GetBatch, e.Operation)
			assert.NotEmpty(t, e.Text)
			assert.Error(t, errors.Unwrap(e))
		})
	}
}

func TestParseBatchNeedsAnObject(t *testing.T) {
	for _, body := range []string{``, `null`, `[]`, `"x"`, `{"id":`, `<html>`} {
		_, err := ParseBatch([]byte(body))
		require.Error(t, err, body)
	}
	b, err := ParseBatch([]byte(`{}`))
	require.NoError(t, err)
	require.Equal(t, &Batch{}, b)
}

func TestNumbersAndGroupsOfABatch(t *testing.T) {
	numbers := []string{"447700900118", "0046701740607", "54321"}
	b := &Batch{
		To: append([]string{"01K2NDE5RPA0C7W3B9HYZK4T6M", "dxCJTlfb1UsF", "", "+", "dxCJTlfb1UsF"},
			append(numbers, "+44 (7700) 900-118")...),
	}
	require.Equal(t, numbers, b.Numbers())
	require.Equal(t, 4, b.Groups(), "each group counts once")
}

func TestOnlyTextMessagesHaveText(t *testing.T) {
	require.Equal(t, "a", (&Batch{Body: json.RawMessage(`"a"`)}).Text())
	require.Empty(t, (&Batch{Type: TypeBinary, Body: json.RawMessage(`"a"`)}).Text())
	require.Empty(t, (&Batch{Type: TypeText, Body: json.RawMessage(`{}`)}).Text())
	require.Empty(t, (&Batch{}).Text())
}

// rawMembers returns members from alternating names and JSON values.
func rawMembers(pairs ...string) map[string]json.RawMessage {
	m := map[string]json.RawMessage{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	return m
}
