package simulator

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

func TestSendAnswersTheStoredBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2025, 8, 19, 16, 20, 5, 118e6, time.UTC)))
		group := "01K2NDE5RPA0C7W3B9HYZK4T6M"
		u := newCustomer(t, Config{Calm: true, Plans: []Plan{{
			ID: testPlan, Token: testToken, Groups: map[string][]string{group: {"+12025550143"}},
		}}})
		request := fixtures.Read(t, "req-send-text-feedback-group.json")
		want := fixtures.Read(t, "res-send-text-201.json")

		h := u.call(http.MethodPost, "/batches", string(request))
		require.Equal(t, http.StatusCreated, h.status, h.body)
		require.Equal(t, "application/json", h.header.Get("Content-Type"))
		var sent, expected map[string]any
		require.NoError(t, json.Unmarshal([]byte(h.body), &sent))
		require.NoError(t, json.Unmarshal(want, &expected))
		require.Len(t, sent["id"], 26)
		expected["id"] = sent["id"]
		require.Equal(t, expected, sent)

		got := u.call(http.MethodGet, "/batches/"+sent["id"].(string), "")
		require.Equal(t, http.StatusOK, got.status)
		require.JSONEq(t, h.body, got.body)
	})
}

func TestSendFillsInDefaultsAndOmitsUnsetMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		h := u.call(http.MethodPost, "/batches",
			`{"to":["+1 (202) 555-0143","0012025550143"],"from":"+1 202 555 0100","body":""}`)
		require.Equal(t, http.StatusCreated, h.status)
		var sent map[string]any
		require.NoError(t, json.Unmarshal([]byte(h.body), &sent))
		delete(sent, "id")
		require.Equal(t, map[string]any{
			"to": []any{
				"12025550143",
				"12025550143",
			}, "from": "12025550100", "body": "", "type": "mt_text", "canceled": false, "delivery_report": "none",
			"flash_message": false, "created_at": "2000-01-01T00:00:00.000Z", "modified_at": "2000-01-01T00:00:00.000Z",
			"expire_at": "2000-01-04T00:00:00.000Z",
		}, sent)
		require.Len(t, u.sim.Ledger().Batches[0].Recipients, 1, "a number that is named twice must get one message")
	})
}

func TestSendErrors(t *testing.T) {
	long := strings.Repeat("a", 2001)
	with := func(members string) string { return `{"to":["12025550143"],"from":"ACME","body":"hi",` + members + `}` }
	for name, c := range map[string]struct {
		body, code string
		status     int
	}{
		"invalid JSON":          {`{"to":`, "syntax_invalid_json", 400},
		"text after the JSON":   {`{"to":["12025550143"],"body":"hi"} x`, "syntax_invalid_json", 400},
		"an array":              {`[]`, "syntax_invalid_json", 400},
		"a number for a string": {`{"to":[12025550143],"body":"hi"}`, "syntax_invalid_json", 400},
		"an object for a text":  {`{"to":["12025550143"],"body":{"url":"x"}}`, "syntax_invalid_json", 400},
		"no to":                 {`{"body":"hi"}`, "syntax_constraint_violation", 400},
		"an empty to":           {`{"to":[],"body":"hi"}`, "syntax_constraint_violation", 400},
		"1001 recipients": {
			string(xms.Encode(map[string]any{"to": numbers(1001), "body": "hi"})),
			"syntax_constraint_violation", 400,
		},
		"a word as a recipient": {`{"to":["foo"],"body":"hi"}`, "syntax_invalid_parameter_format", 400},
		"a null recipient":      {`{"to":[null],"body":"hi"}`, "syntax_invalid_parameter_format", 400},
		"an unknown group": {
			`{"to":["01K2NDE5RPA0C7W3B9HYZK4T6M"],"from":"ACME","body":"hi"}`,
			"unknown_group", 403,
		},
		"no body":     {`{"to":["12025550143"]}`, "syntax_constraint_violation", 400},
		"a null body": {`{"to":["12025550143"],"body":null}`, "syntax_constraint_violation", 400},
		"a long body": {
			`{"to":["12025550143"],"body":"` + long + `"}`, "syntax_constraint_violation",
			400,
		},
		"an unknown type":         {with(`"type":"mt_smoke"`), "syntax_invalid_parameter_format", 400},
		"an unknown report kind":  {with(`"delivery_report":"some"`), "syntax_invalid_parameter_format", 400},
		"a report and no URL":     {with(`"delivery_report":"full"`), "missing_callback_url", 403},
		"an invalid callback_url": {with(`"callback_url":"hooks"`), "syntax_invalid_parameter_format", 400},
		"a long callback_url": {
			with(`"callback_url":"http://x/` + long + long + `"`),
			"syntax_invalid_parameter_format", 400,
		},
		"a long client_reference": {
			with(`"client_reference":"` + long + long + `"`), "syntax_constraint_violation",
			400,
		},
		"an invalid send_at": {with(`"send_at":"soon"`), "syntax_invalid_parameter_format", 400},
		"a numeric send_at":  {with(`"send_at":5`), "syntax_invalid_json", 400},
		"expire_at before send_at": {
			with(`"send_at":"2001-01-02T00:00Z","expire_at":"2001-01-01"`),
			"syntax_constraint_violation", 400,
		},
		"expire_at in the past": {
			with(`"expire_at":"1999-01-01T00:00:00+0100"`), "syntax_constraint_violation",
			400,
		},
		"an empty from":           {with(`"from":""`), "syntax_invalid_parameter_format", 400},
		"a from_ton out of range": {with(`"from_ton":7`), "syntax_constraint_violation", 400},
		"a from_npi out of range": {with(`"from_npi":19`), "syntax_constraint_violation", 400},
		"a maximum of 0 parts":    {with(`"max_number_of_message_parts":0`), "syntax_constraint_violation", 400},
		"a parameter key too long": {
			with(`"parameters":{"abcdefghijklmnopq":{"default":"x"}}`),
			"syntax_invalid_parameter_format", 400,
		},
		"a feedback_enabled string": {with(`"feedback_enabled":"yes"`), "syntax_invalid_json", 400},
		"binary is not base64":      {with(`"type":"mt_binary","udh":"00"`), "syntax_invalid_parameter_format", 400},
		"binary without udh": {
			`{"to":["12025550143"],"type":"mt_binary","body":"AAEC"}`,
			"syntax_constraint_violation", 400,
		},
		"binary with a bad udh": {
			`{"to":["12025550143"],"type":"mt_binary","body":"AAEC","udh":"xy"}`,
			"syntax_invalid_parameter_format", 400,
		},
		"binary too long": {
			`{"to":["12025550143"],"type":"mt_binary","udh":"0605","body":"` + strings.Repeat("AAAA", 47) + `"}`,
			"syntax_constraint_violation", 400,
		},
		"media without a URL": {
			`{"to":["12025550143"],"from":"ACME","type":"mt_media","body":{"message":"x"}}`,
			"syntax_constraint_violation", 400,
		},
		"media with a text body": {with(`"type":"mt_media"`), "syntax_invalid_json", 400},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCustomer(t, Config{Calm: true, Plans: []Plan{{ID: testPlan, Token: testToken}}})
				h := u.call(http.MethodPost, "/batches", c.body)
				require.Equal(t, c.status, h.status, h.body)
				var refused struct{ Code, Text string }
				require.NoError(t, json.Unmarshal([]byte(h.body), &refused))
				require.Equal(t, c.code, refused.Code)
				require.NotEmpty(t, refused.Text)
				require.Empty(t, u.sim.Ledger().Batches)
			})
		})
	}
}

func TestSendAcceptsEveryTypeAndTheLimits(t *testing.T) {
	for name, members := range map[string]map[string]any{
		"1000 recipients": {"to": numbers(1000)},
		"2000 characters": {"body": strings.Repeat("ø", 2000)},
		"binary":          {"type": "mt_binary", "udh": "0605040b8423f0", "body": "AAECAwT/"},
		"media": {
			"type": "mt_media",
			"body": map[string]any{"url": "https://media.example.com/a.jpg", "subject": "s"},
		},
		"alphanumeric from": {"from": "ACME"},
		"unknown members":   {"x_new": map[string]any{"a": 1}},
		"a callback_url":    {"delivery_report": "full", "callback_url": "https://hooks.example.com/a?b=c"},
		"too late expiry":   {"expire_at": "2010-01-01T00:00:00.0000000Z"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCustomer(t, Config{Calm: true, Plans: []Plan{{ID: testPlan, Token: testToken}}})
				request := map[string]any{"to": numbers(1), "from": "12025550100", "body": "hi"}
				for k, v := range members {
					request[k] = v
				}
				h := u.call(http.MethodPost, "/batches", string(xms.Encode(request)))
				require.Equal(t, http.StatusCreated, h.status, h.body)
				require.Contains(t, h.body, `"expire_at":"2000-01-04T00:00:00.000Z"`,
					"expiry must be three days, the default and the maximum")
			})
		})
	}
}

func TestCallsAreRefusedBeforeParsing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		for name, c := range map[string]struct {
			method, path, token, kind string
			status                    int
		}{
			"wrong token":       {"GET", testPlan + "/batches/x", "Bearer nope", "", 401},
			"no token":          {"GET", testPlan + "/batches/x", "", "", 401},
			"another scheme":    {"GET", testPlan + "/batches/x", "Basic " + testToken, "", 401},
			"unknown plan":      {"GET", "other/batches/x", "Bearer " + testToken, "", 404},
			"unknown batch":     {"GET", testPlan + "/batches/x", "Bearer " + testToken, "", 404},
			"unknown path":      {"GET", testPlan + "/smoke", "Bearer " + testToken, "", 404},
			"wrong method":      {"DELETE", testPlan + "/batches/x/delivery_feedback", "Bearer " + testToken, "", 405},
			"no content type":   {"POST", testPlan + "/batches", "Bearer " + testToken, "", 415},
			"some content type": {"POST", testPlan + "/batches", "Bearer " + testToken, "text/plain", 415},
			"with a charset": {
				"POST", testPlan + "/batches", "bearer " + testToken,
				"application/json; charset=utf-8", 201,
			},
		} {
			req, err := http.NewRequestWithContext(context.Background(), c.method, "http://sinch.test/xms/v1/"+c.path,
				strings.NewReader(`{"to":["12025550143"],"from":"ACME","body":"x"}`))
			require.NoError(t, err)
			req.Header.Set("Content-Type", c.kind)
			if c.token != "" {
				req.Header.Set("Authorization", c.token)
			}
			res, err := u.client.Do(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, c.status, res.StatusCode, name)
		}
	})
}

func TestBatchOfAnotherPlanIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t,
			Config{Calm: true, Plans: []Plan{{ID: testPlan, Token: testToken}, {ID: "other", Token: testToken}}})
		id := u.send(map[string]any{"to": numbers(1)})
		require.Equal(t, http.StatusOK, u.call(http.MethodGet, "/batches/"+id, "").status)
		require.Equal(t, http.StatusNotFound, u.call(http.MethodGet, "/../other/batches/"+id, "").status)
	})
}

func TestDigits(t *testing.T) {
	for written, want := range map[string]string{
		"+12025550143": "12025550143", "0046701740607": "46701740607", "+1 (202) 555-0143": "12025550143",
		"[1]202": "1202", "54321": "54321", "+0012345": "0012345",
		"": "", "+": "", "12": "", "1234567890123456": "", "12a4": "", "++123": "", "١٢٣٤": "",
	} {
		got, ok := xms.Digits(written)
		require.Equal(t, want, got, written)
		require.Equal(t, want != "", ok, written)
	}
}
