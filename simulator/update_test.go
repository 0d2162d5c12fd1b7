package simulator

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// scheduled sends a text batch with every possible member and a send_at in one hour. It returns its id and the
// answer.
func (u *customer) scheduled() (string, map[string]any) {
	u.t.Helper()
	sent := u.object(u.call(http.MethodPost, "/batches", `{"to":["12025550143","12025550144"],"from":"12025550100",
		"body":"Hi ${a}!",
		"parameters":{"a":{"12025550143":"Ann","default":"you"}},"delivery_report":"full",
		"send_at":"2000-01-01T01:00:00Z",
		"expire_at":"2000-01-01T05:00:00Z","callback_url":"https://x/y","client_reference":"r","feedback_enabled":true,
		"flash_message":true,"truncate_concat":true,"max_number_of_message_parts":2,"from_ton":1,
		"from_npi":1}`), http.StatusCreated)
	return sent["id"].(string), sent
}

// TestEveryOperation checks method, path, success status and answer of the eight batch operations.
func TestEveryOperation(t *testing.T) {
	const text = `{"to":["12025550143"],"from":"ACME","body":"hi","send_at":"2000-01-01T01:00:00Z",` +
		`"feedback_enabled":true}`
	for _, row := range []struct {
		name, method, path, body string
		status                   int
		has                      []string
	}{
		{"1 send", "POST", "/batches", text, 201, []string{"id", "created_at", "modified_at", "canceled"}},
		{
			"2 dry run", "POST", "/batches/dry_run?per_recipient=true", text, 200,
			[]string{"number_of_recipients", "number_of_messages", "per_recipient"},
		},
		{"3 list", "GET", "/batches", "", 200, []string{"count", "page", "page_size", "batches"}},
		{"4 get", "GET", "/batches/{batch_id}", "", 200, []string{"id"}},
		{"5 update", "POST", "/batches/{batch_id}", `{"body":"ho"}`, 200, []string{"id"}},
		{"6 replace", "PUT", "/batches/{batch_id}", text, 200, []string{"id"}},
		{"7 cancel", "DELETE", "/batches/{batch_id}", "", 200, []string{"id"}},
		{"8 delivery feedback", "POST", "/batches/{batch_id}/delivery_feedback", `{"recipients":[]}`, 202, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCustomer(t, Config{Calm: true})
				sent := u.object(u.call(http.MethodPost, "/batches", text), http.StatusCreated)
				h := u.call(row.method, strings.ReplaceAll(row.path, "{batch_id}", sent["id"].(string)), row.body)
				require.Equal(t, row.status, h.status, h.body)
				if row.has == nil {
					require.Empty(t, h.body)
					return
				}
				require.Equal(t, "application/json", h.header.Get("Content-Type"))
				answer := u.object(h, row.status)
				for _, member := range row.has {
					require.Contains(t, answer, member)
				}
				if strings.Contains(row.path, "{batch_id}") {
					require.Equal(t, sent["id"], answer["id"])
					require.Equal(t, row.method == "DELETE", answer["canceled"])
				}
			})
		})
	}
}

// TestUpdateChangesOnlyNamedMembers maps the body of an update to the members of the answer that change. "-" means
// that the member is removed.
func TestUpdateChangesOnlyNamedMembers(t *testing.T) {
	type changes map[string]any
	for given, want := range map[string]changes{
		`{}`:                 {},
		`{"type":"mt_text"}`: {},
		`{"smoke":1,"to":["12025550199"],"id":"x","created_at":null}`: {},
		`{"body":"ho"}`: {"body": "ho"},
		`{"to_add":["+1 202 555 0145"]}`: {"to": []any{
			"12025550143", "12025550144",
			"12025550145",
		}},
		`{"to_add":["0012025550143"]}`: {},
		`{"to_add":["dxCJTlfb1UsF"]}`: {"to": []any{
			"12025550143", "12025550144",
			"dxCJTlfb1UsF",
		}},
		`{"to_remove":["+12025550143"]}`:                         {"to": []any{"12025550144"}},
		`{"to_remove":["12025550199","noSuchGroup1"]}`:           {},
		`{"to_add":["12025550145"],"to_remove":["12025550145"]}`: {},
		`{"to_add":["12025550145"],"to_remove":["12025550143"]}`: {"to": []any{"12025550144", "12025550145"}},
		`{"to_add":null,"to_remove":null}`:                       {},
		`{"from":"+54321"}`:                                      {"from": "54321"},
		`{"from":null}`:                                          {"from": "-"},
		`{"parameters":{"b":{"default":"x"}}}`: {
			"parameters": map[string]any{"b": map[string]any{"default": "x"}},
		},
		`{"parameters":null}`:                  {"parameters": "-"},
		`{"delivery_report":"summary"}`:        {"delivery_report": "summary"},
		`{"delivery_report":null}`:             {"delivery_report": "none"},
		`{"send_at":"2000-01-01T02:00:00Z"}`:   {"send_at": "2000-01-01T02:00:00.000Z"},
		`{"expire_at":"2000-01-01T03:00:00Z"}`: {"expire_at": "2000-01-01T03:00:00.000Z"},
		`{"expire_at":null}`:                   {"expire_at": "2000-01-04T01:00:00.000Z"},
		`{"expire_at":null,"send_at":"2000-01-02T01:00:00Z"}`: {
			"send_at":   "2000-01-02T01:00:00.000Z",
			"expire_at": "2000-01-05T01:00:00.000Z",
		},
		`{"callback_url":"https://x/z"}`: {"callback_url": "https://x/z"},
		`{"callback_url":null}`:          {"callback_url": "-"},
		`{"client_reference":"s"}`:       {"client_reference": "s"},
		`{"client_reference":null}`:      {"client_reference": "-"},
		`{"feedback_enabled":false}`:     {"feedback_enabled": false},
		`{"feedback_enabled":null}`:      {"feedback_enabled": "-"},
		`{"flash_message":null}`:         {"flash_message": false},
		`{"truncate_concat":null,"max_number_of_message_parts":null}`: {
			"truncate_concat":             "-",
			"max_number_of_message_parts": "-",
		},
		`{"from_ton":2,"from_npi":null}`: {"from_ton": 2.0, "from_npi": "-"},
		`{"type":"mt_binary","body":"AAEC","udh":"0605","send_at":"2000-01-01T02:00:00Z"}`: {
			"type": "mt_binary", "body": "AAEC", "udh": "0605", "send_at": "2000-01-01T02:00:00.000Z",
			"flash_message":   "-",
			"truncate_concat": "-", "max_number_of_message_parts": "-", "parameters": "-",
		},
	} {
		t.Run(given, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCustomer(t, Config{Calm: true, Plans: []Plan{{
					ID: testPlan, Token: testToken, CallbackURL: hooks, Originators: []string{"54321"},
					Groups: map[string][]string{"dxCJTlfb1UsF": nil},
				}}})
				id, before := u.scheduled()
				time.Sleep(time.Minute)
				updated := u.object(u.call(http.MethodPost, "/batches/"+id, given), http.StatusOK)
				require.Equal(t, updated, u.get(id))
				before["modified_at"] = "2000-01-01T00:01:00.000Z"
				for member, value := range want {
					before[member] = value
					if value == "-" {
						delete(before, member)
					}
				}
				require.Equal(t, before, updated)
				require.Equal(t, 1, u.sim.Ledger().Batches[0].Updated)
			})
		})
	}
}

func TestUpdateErrors(t *testing.T) {
	list := func(n int) string { return string(xms.Encode(numbers(n))) }
	for given, want := range map[string]struct {
		status int
		code   string
	}{
		`{`:                               {400, "syntax_invalid_json"},
		`null`:                            {400, "syntax_invalid_json"},
		`[]`:                              {400, "syntax_invalid_json"},
		`{"to_add":"1202"}`:               {400, "syntax_invalid_json"},
		`{"body":5}`:                      {400, "syntax_invalid_json"},
		`{"to_add":["you"]}`:              {400, "syntax_invalid_parameter_format"},
		`{"to_remove":["you"]}`:           {400, "syntax_invalid_parameter_format"},
		`{"send_at":"soon"}`:              {400, "syntax_invalid_parameter_format"},
		`{"to_add":[]}`:                   {400, "syntax_constraint_violation"},
		`{"to_remove":[]}`:                {400, "syntax_constraint_violation"},
		`{"to_add":` + list(101) + `}`:    {400, "syntax_constraint_violation"},
		`{"to_remove":` + list(101) + `}`: {400, "syntax_constraint_violation"},
		`{"to_remove":["12025550143","12025550144"]}`: {400, "syntax_constraint_violation"},
		`{"body":null}`:                             {400, "syntax_constraint_violation"},
		`{"from":null}`:                             {400, "syntax_constraint_violation"},
		`{"send_at":"2000-01-01T06:00:00Z"}`:        {400, "syntax_constraint_violation"}, // expire_at is earlier
		`{"type":"mt_binary","body":"AAEC"}`:        {400, "syntax_constraint_violation"},
		`{"to_add":["01K2NDE5RPA0C7W3B9HYZK4T6M"]}`: {403, "unknown_group"},
		`{"callback_url":null}`:                     {403, "missing_callback_url"},
	} {
		t.Run(given, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCustomer(t, Config{Calm: true, Plans: []Plan{{ID: testPlan, Token: testToken}}})
				id, before := u.scheduled()
				u.refused(u.call(http.MethodPost, "/batches/"+id, given), want.status, want.code)
				require.Equal(t, before, u.get(id), "a refused update must not be applied in part")
				require.Zero(t, u.sim.Ledger().Batches[0].Updated)
			})
		})
	}
}

func TestUpdateOfTheExample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2025, 8, 19, 16, 20, 5, 118e6, time.UTC)))
		u := newCustomer(t, Config{Calm: true, Plans: []Plan{{
			ID: testPlan, Token: testToken, Groups: map[string][]string{"01K2NDE5RPA0C7W3B9HYZK4T6M": {"+12025550143"}},
		}}})
		send := fixtures.Read(t, "req-send-text-feedback-group.json")
		update := fixtures.Read(t, "req-update.json")
		sent := u.object(u.call(http.MethodPost, "/batches", string(send)), http.StatusCreated)
		updated := u.object(u.call(http.MethodPost, "/batches/"+sent["id"].(string), string(update)), http.StatusOK)
		sent["to"] = []any{"01K2NDE5RPA0C7W3B9HYZK4T6M", "46701740607", "12025550190"}
		sent["delivery_report"], sent["send_at"] = "full", "2025-08-20T06:00:00.000Z"
		require.Equal(t, sent, updated)
	})
}

func TestDispatchedBatchCannotBeChanged(t *testing.T) {
	example := fixtures.Read(t, "err-403-dispatched.json")
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		const replacement = `{"to":["12025550150"],"from":"ACME","body":"new"}`
		check := func(id, why string) {
			before := u.get(id)
			for _, h := range []response{
				u.call(http.MethodPost, "/batches/"+id, `{"body":"late"}`), u.call(http.MethodPut, "/batches/"+id,
					replacement),
			} {
				u.refused(h, http.StatusForbidden, "batch_already_dispatched")
				require.JSONEq(t, string(example), h.body, why)
			}
			require.Equal(t, before, u.get(id), why)
		}
		check(u.send(map[string]any{"to": numbers(1)}), "a batch without send_at is dispatched at once")

		id, _ := u.scheduled()
		time.Sleep(time.Hour)
		check(id, "send_at has passed, though Run is not running")

		waits := u.send(map[string]any{"to": numbers(1), "send_at": time.Now().Add(time.Hour)})
		u.object(u.call(http.MethodDelete, "/batches/"+waits, ""), http.StatusOK)
		check(waits, "the batch is cancelled")

		u.run().settle()
		check(id, "the batch has been delivered")
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
			require.Equal(t, http.StatusNotFound,
				u.call(method, "/batches/01K2S9A1V5K3C8MEX7RQ0YBD4W", replacement).status)
		}
	})
}

func TestObserversReceiveChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		var entries []string
		u.sim.Observe(func(e ledger.Entry) {
			text, _ := json.Marshal([]any{e.Kind, e.Batch, e.Count})
			entries = append(entries, string(text))
		})
		id, _ := u.scheduled()
		u.call(http.MethodPost, "/batches/"+id, `{"to_add":["12025550145"]}`)
		u.call(http.MethodPut, "/batches/"+id,
			`{"to":["12025550150"],"from":"ACME","body":"x","send_at":"2000-01-01T02:00:00Z"}`)
		u.call(http.MethodDelete, "/batches/"+id, "")
		u.call(http.MethodDelete, "/batches/"+id, "")
		require.Equal(t, []string{
			`["batch_sent","` + id + `",2]`, `["batch_updated","` + id + `",3]`, `["batch_replaced","` + id + `",1]`,
			`["batch_canceled","` + id + `",1]`,
		}, entries)
	})
}

func TestUpdateKeepsAppliedFeedback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		id, _ := u.scheduled()
		require.Equal(t, 202, u.feedback(id, "12025550144").status)
		u.object(u.call(http.MethodPost, "/batches/"+id, `{"to_remove":["12025550143"],"to_add":["12025550145"]}`), 200)
		u.settle()
		require.Equal(t, map[ledger.BatchRecipient]int{{Batch: id, Recipient: "12025550144"}: 1},
			u.sim.Ledger().AppliedFeedback())
	})
}

func TestUpdateCannotExceedThousandRecipients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		id := u.send(map[string]any{"to": numbers(1000)[:901], "send_at": "2000-01-02"})
		add := string(xms.Encode(map[string]any{"to_add": numbers(1000)[900:]}))
		u.object(u.call(http.MethodPost, "/batches/"+id, add), 200)
		u.refused(u.call(http.MethodPost, "/batches/"+id, `{"to_add":["447700900118"]}`), 400,
			"syntax_constraint_violation")
		u.object(u.call(http.MethodPost, "/batches/"+id, `{"to_add":["447700900118"],"to_remove":["12025550000"]}`),
			200)
		require.Len(t, u.sim.Ledger().Batches[0].Recipients, 1000)
	})
}

func TestBatchCanBeReadForFourteenDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		id := u.send(map[string]any{
			"to": numbers(1), "feedback_enabled": true,
			"send_at": time.Now().Add(20 * 24 * time.Hour),
		})
		time.Sleep(34 * 24 * time.Hour)
		u.get(id)
		time.Sleep(time.Millisecond)
		for _, c := range goodCalls() {
			if strings.Contains(c.path, "{id}") {
				require.Equal(t, 404, u.call(c.method, strings.ReplaceAll(c.path, "{id}", id), c.body).status, c.path)
			}
		}
		require.Len(t, u.sim.Ledger().Batches, 1, "the ledger must keep the batch")
	})
}
