package simulator

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
	"github.com/dlrloop/dlrloop/simulator/fault"
)

const (
	goodBatch    = `{"to":["12025550143"],"from":"ACME","body":"hi"}`
	goodFeedback = `{"recipients":["12025550143"]}`
)

// goodCall is a call that succeeds. "{id}" in path stands for the id of a batch that waits for its send_at.
type goodCall struct {
	operation          fault.Operation
	method, path, body string
}

// goodCalls returns one call of each operation and of each way to read reports.
func goodCalls() []goodCall {
	return []goodCall{
		{fault.OpSend, "POST", "/batches", goodBatch},
		{fault.OpDryRun, "POST", "/batches/dry_run", goodBatch},
		{fault.OpList, "GET", "/batches", ""},
		{fault.OpBatch, "GET", "/batches/{id}", ""},
		{fault.OpUpdate, "POST", "/batches/{id}", `{"body":"ho"}`},
		{
			fault.OpReplace, "PUT", "/batches/{id}",
			`{"to":["12025550143"],"from":"ACME","body":"ha","send_at":"2000-01-02","feedback_enabled":true}`,
		},
		{fault.OpFeedback, "POST", "/batches/{id}/delivery_feedback", goodFeedback},
		{fault.OpReport, "GET", "/batches/{id}/delivery_report", ""},
		{fault.OpReport, "GET", "/batches/{id}/delivery_report/12025550143", ""},
		{fault.OpReport, "GET", "/delivery_reports", ""},
		{fault.OpGroup, "GET", "/groups", ""},
		{fault.OpGroup, "POST", "/groups", `{}`},
		{fault.OpCancel, "DELETE", "/batches/{id}", ""},
	}
}

func (u *customer) waiting() string {
	return u.send(map[string]any{"to": []string{"12025550143"}, "feedback_enabled": true, "send_at": "2000-01-02"})
}

// raw calls url with the given headers instead of the customer's.
func (u *customer) raw(method, url, body string, header map[string]string) response {
	u.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	require.NoError(u.t, err)
	for key, value := range header {
		req.Header.Set(key, value)
	}
	res, err := u.client.Do(req)
	require.NoError(u.t, err)
	defer func() { _ = res.Body.Close() }()
	read, err := io.ReadAll(res.Body)
	require.NoError(u.t, err)
	return response{res.StatusCode, res.Header, string(read)}
}

// TestEveryStatusOfEveryOperation checks the error statuses that all operations have in common.
func TestEveryStatusOfEveryOperation(t *testing.T) {
	bearer := map[string]string{"Authorization": "Bearer " + testToken, "Content-Type": "application/json"}
	with := func(key, value string) map[string]string {
		header := map[string]string{
			"Authorization": bearer["Authorization"], "Content-Type": bearer["Content-Type"],
			key: value,
		}
		if value == "" {
			delete(header, key)
		}
		return header
	}
	for _, c := range goodCalls() {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCustomer(t, Config{Calm: true})
				id := u.waiting()
				path := strings.ReplaceAll(c.path, "{id}", id)
				before := u.get(id)
				for name, row := range map[string]struct {
					plan   string
					header map[string]string
					status int
				}{
					"401 wrong token":  {testPlan, with("Authorization", "Bearer nope"), 401},
					"401 no token":     {testPlan, with("Authorization", ""), 401},
					"401 empty token":  {testPlan, with("Authorization", "Bearer "), 401},
					"401 other scheme": {testPlan, with("Authorization", "Basic "+testToken), 401},
					"404 unknown plan": {"other", bearer, 404},
				} {
					h := u.raw(c.method, "http://sinch.test/xms/v1/"+row.plan+path, c.body, row.header)
					require.Equal(t, row.status, h.status, name)
					require.Empty(t, h.body, name)
				}
				for name, kind := range map[string]string{
					"415 none": "", "415 text": "text/plain",
					"415 broken": "application/json;;=", "415 form": "application/x-www-form-urlencoded",
				} {
					if c.body == "" {
						continue
					}
					h := u.raw(c.method, "http://sinch.test/xms/v1/"+testPlan+path, c.body, with("Content-Type", kind))
					require.Equal(t, 415, h.status, name)
					require.Empty(t, h.body, name)
				}
				for name, body := range map[string]string{
					"400 no JSON": `{`, "400 nothing": ``,
					"400 another structure": `[1]`, "400 more than one": `{} {}`,
				} {
					if c.body == "" {
						continue
					}
					h := u.raw(c.method, "http://sinch.test/xms/v1/"+testPlan+path, body, bearer)
					t.Log(name)
					u.refused(h, 400, "syntax_invalid_json")
				}
				for _, status := range []int{429, 500, 503} {
					require.NoError(t,
						u.sim.SetFault(fault.Fault{Operation: c.operation, Kind: fault.Status, Status: status, Times: 1}))
					h := u.call(c.method, path, c.body)
					require.Equal(t, status, h.status)
					require.Empty(t, h.body)
					require.Empty(t, h.header.Get("Retry-After"),
						"Retry-After must be missing, since Sinch does not document it")
				}
				require.Equal(t, before, u.get(id), "refused calls must not change the batch")
				if strings.Contains(c.path, "{id}") {
					unknown := strings.ReplaceAll(c.path, "{id}", "01K2S9A1V5K3C8MEX7RQ0YBD4W")
					h := u.call(c.method, unknown, c.body)
					require.Equal(t, 404, h.status)
					require.Empty(t, h.body)
				}
				h := u.raw(c.method, "http://sinch.test/xms/v1/"+testPlan+path, c.body,
					with("Content-Type", "application/json; charset=UTF-8"))
				require.Less(t, h.status, 300, h.body)
				require.Equal(t, c.operation, u.sim.Calls()[len(u.sim.Calls())-1].Operation)
			})
		})
	}
}

func TestMethodsAndPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		id := u.waiting()
		for _, c := range []struct {
			method, path string
			status       int
		}{
			{"PUT", "/batches", 405},
			{"DELETE", "/batches", 405},
			{"PATCH", "/batches", 405},
			{"PATCH", "/batches/" + id, 405},
			{"GET", "/batches/" + id + "/delivery_feedback", 405},
			{"PUT", "/batches/" + id + "/delivery_feedback", 405},
			{"POST", "/batches/" + id + "/delivery_report", 405},
			{"DELETE", "/batches/" + id + "/delivery_report/12025550143", 405},
			{"POST", "/delivery_reports", 405},
			{"DELETE", "/groups", 405},
			{"POST", "/groups/x/members", 405},
			{"GET", "/smoke", 404},
			{"GET", "", 404},
			{"POST", "/batches/" + id + "/smoke", 404},
			{"GET", "/batches/dry_run", 404},
			{"PUT", "/batches/dry_run", 404},
			{"DELETE", "/batches/dry_run", 404},
		} {
			require.Equal(t, c.status, u.call(c.method, c.path, goodBatch).status, c)
		}
	})
}

// TestEveryCodeOfEveryOperation checks each error code for every operation that can answer it.
func TestEveryCodeOfEveryOperation(t *testing.T) {
	const group = "01K2NDE5RPA0C7W3B9HYZK4T6M"
	withMember := func(member string) string { return strings.Replace(goodBatch, "{", "{"+member+",", 1) }
	for _, row := range []struct {
		code               string
		status             int
		method, path, body string
	}{
		{"syntax_invalid_json", 400, "POST", "/batches", `{"to":"12025550143","from":"ACME","body":"hi"}`},
		{"syntax_invalid_json", 400, "POST", "/batches/dry_run", `"hi"`},
		{"syntax_invalid_json", 400, "POST", "/batches/{id}", `{"to_add":{}}`},
		{"syntax_invalid_json", 400, "PUT", "/batches/{id}", `{"to":[12025550143]}`},
		{"syntax_invalid_json", 400, "POST", "/batches/{id}/delivery_feedback", `{"recipients":[12025550143]}`},
		{"syntax_invalid_json", 400, "POST", "/groups", `{"members":"12025550143"}`},
		{"syntax_invalid_parameter_format", 400, "POST", "/batches", `{"to":["foo"],"from":"ACME","body":"hi"}`},
		{"syntax_invalid_parameter_format", 400, "POST", "/batches/dry_run", withMember(`"send_at":"soon"`)},
		{"syntax_invalid_parameter_format", 400, "POST", "/batches/dry_run?number_of_recipients=many", goodBatch},
		{"syntax_invalid_parameter_format", 400, "POST", "/batches/{id}", `{"callback_url":"foo"}`},
		{"syntax_invalid_parameter_format", 400, "PUT", "/batches/{id}", withMember(`"delivery_report":"foo"`)},
		{"syntax_invalid_parameter_format", 400, "POST", "/batches/{id}/delivery_feedback", `{"recipients":["foo"]}`},
		{"syntax_invalid_parameter_format", 400, "GET", "/batches?page=foo", ""},
		{"syntax_invalid_parameter_format", 400, "GET", "/delivery_reports?code=foo", ""},
		{"syntax_invalid_parameter_format", 400, "GET", "/batches/{id}/delivery_report?code=foo", ""},
		{"syntax_constraint_violation", 400, "POST", "/batches", `{"from":"ACME","body":"hi"}`},
		{
			"syntax_constraint_violation", 400, "POST", "/batches/dry_run",
			withMember(`"send_at":"2000-01-03","expire_at":"2000-01-02"`),
		},
		{"syntax_constraint_violation", 400, "POST", "/batches/{id}", `{"to_remove":["12025550143"]}`},
		{"syntax_constraint_violation", 400, "PUT", "/batches/{id}", `{"to":["12025550143"],"from":"ACME"}`},
		{"syntax_constraint_violation", 400, "POST", "/batches/{id}/delivery_feedback", `{}`},
		{"syntax_constraint_violation", 400, "GET", "/batches?page_size=101", ""},
		{"syntax_constraint_violation", 400, "GET", "/delivery_reports?page_size=0", ""},
		{"unknown_group", 403, "POST", "/batches", `{"to":["` + group + `"],"from":"ACME","body":"hi"}`},
		{"unknown_group", 403, "POST", "/batches/dry_run", `{"to":["` + group + `"],"from":"ACME","body":"hi"}`},
		{"unknown_group", 403, "POST", "/batches/{id}", `{"to_add":["` + group + `"]}`},
		{"unknown_group", 403, "PUT", "/batches/{id}", `{"to":["` + group + `"],"from":"ACME","body":"hi"}`},
		{"missing_callback_url", 403, "POST", "/batches", withMember(`"delivery_report":"summary"`)},
		{"missing_callback_url", 403, "POST", "/batches/dry_run", withMember(`"delivery_report":"full"`)},
		{"missing_callback_url", 403, "POST", "/batches/{id}", `{"delivery_report":"per_recipient"}`},
		{"missing_callback_url", 403, "PUT", "/batches/{id}", withMember(`"delivery_report":"per_recipient_final"`)},
		{"batch_already_dispatched", 403, "POST", "/batches/{dispatched}", `{"body":"hi"}`},
		{"batch_already_dispatched", 403, "PUT", "/batches/{dispatched}", goodBatch},
		{"conflict_group_name", 403, "POST", "/groups", `{"name":"taken"}`},
	} {
		t.Run(row.code+" "+row.method+" "+row.path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCustomer(t, Config{Calm: true, Plans: []Plan{{ID: testPlan, Token: testToken}}})
				u.group(`{"name":"taken"}`)
				path := strings.NewReplacer("{id}", u.waiting(), "{dispatched}",
					u.send(map[string]any{"to": numbers(1)})).Replace(row.path)
				u.refused(u.call(row.method, path, row.body), row.status, row.code)
				require.Len(t, u.sim.Ledger().Batches, 2)
			})
		})
	}
}

// TestCodesByFault checks that a fault can answer error codes that depend on the account, in Sinch's form.
func TestCodesByFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		for _, code := range []string{
			"illegal_number_type", "blocked_account", "conflict_send_at",
			"unknown_campaign",
		} {
			require.NoError(t, u.sim.SetFault(fault.Fault{
				Operation: fault.OpSend, Kind: fault.Status, Status: 403, Body: `{"code":"` + code + `","text":"no"}`,
				Times: 1,
			}))
			h := u.call(http.MethodPost, "/batches", goodBatch)
			u.refused(h, 403, code)
			require.Equal(t, "application/json", h.header.Get("Content-Type"))
		}
		require.Empty(t, u.sim.Ledger().Batches)
	})
}

func TestErrorsMatchSinchsExamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		for example, body := range map[string]string{
			"err-400-constraint":    `{"to":[],"from":"ACME","body":"hi"}`,
			"err-403-unknown-group": `{"to":["01K2NDE5RPA0C7W3B9HYZK4T6M"],"from":"ACME","body":"hi"}`,
		} {
			want := fixtures.Read(t, example+".json")
			require.JSONEq(t, string(want), u.call(http.MethodPost, "/batches", body).body)
		}
		require.Contains(t, u.call(http.MethodPost, "/batches", `{"to":["foo"],"from":"ACME","body":"hi"}`).body,
			`'foo' is not a valid identifier`)
	})
}

func TestRequestsPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t,
			Config{
				Calm: true, RequestsPerSecond: 5,
				Plans: []Plan{{ID: testPlan, Token: testToken}, {ID: "other", Token: testToken}},
			})
		id := u.waiting()
		for range 4 {
			u.get(id)
		}
		for _, c := range goodCalls() {
			h := u.call(c.method, strings.ReplaceAll(c.path, "{id}", id), c.body)
			require.Equal(t, 429, h.status)
			require.Empty(t, h.body)
			require.Empty(t, h.header.Get("Retry-After"))
		}
		require.Equal(t, 200, u.call(http.MethodGet, "/../other/batches", "").status,
			"each plan must have its own request rate")
		require.Equal(t, 401, u.raw(http.MethodGet, "http://sinch.test/xms/v1/"+testPlan+"/batches", "", nil).status)
		l := u.sim.Ledger()
		require.Len(t, l.Batches, 1)
		require.Equal(t, 429, l.Feedback[0].Status)
		require.Empty(t, l.AppliedFeedback())
		time.Sleep(400 * time.Millisecond)
		u.get(id)
		u.get(id)
		require.Equal(t, 429, u.call(http.MethodGet, "/batches/"+id, "").status)
	})
}
