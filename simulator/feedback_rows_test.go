package simulator

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// TestEveryRuleOfFeedback checks each rule of delivery feedback. Unless sent changes it, the batch has the recipients
// 12025550000 to 12025550002 and feedback enabled.
func TestEveryRuleOfFeedback(t *testing.T) {
	const group = "dxCJTlfb1UsF"
	answering := func(status int) func(*customer, string) {
		return func(u *customer, _ string) {
			require.NoError(u.t, u.sim.SetFault(fault.Fault{Operation: fault.OpFeedback, Kind: fault.Status, Status: status}))
		}
	}
	type applied = map[string]int
	wholeBatch := applied{"12025550000": 1, "12025550001": 1, "12025550002": 1}
	thousand := applied{}
	for _, number := range numbers(1000) {
		thousand[number] = 1
	}
	for _, row := range []struct {
		name    string
		sent    map[string]any // members of the send that differ from the default
		before  func(u *customer, id string)
		given   string
		status  int
		code    string
		applied applied
	}{
		{
			"a named recipient", nil, nil, `{"recipients":["12025550001"]}`, 202, "",
			applied{"12025550001": 1},
		},
		{
			"precondition: feedback_enabled false",
			map[string]any{"feedback_enabled": false},
			nil,
			`{"recipients":["12025550001"]}`, 404, "",
			applied{},
		},
		{
			"precondition: feedback_enabled missing",
			map[string]any{"feedback_enabled": nil},
			nil,
			`{"recipients":["12025550001"]}`, 404, "",
			applied{},
		},
		{
			"recipients: numbers in any notation", nil, nil, `{"recipients":["+1 (202) 555-0000","0012025550001"]}`,
			202,
			"",
			applied{"12025550000": 1, "12025550001": 1},
		},
		{"recipients: [] is every recipient", nil, nil, `{"recipients":[]}`, 202, "", wholeBatch},
		{"recipients: required", nil, nil, `{}`, 400, "syntax_constraint_violation", applied{}},
		{"recipients: null", nil, nil, `{"recipients":null}`, 400, "syntax_constraint_violation", applied{}},
		{
			"groups: [] for a group",
			map[string]any{"to": []string{group}},
			nil, `{"recipients":[]}`, 400,
			"syntax_constraint_violation",
			applied{},
		},
		{
			"groups: [] for a group and numbers",
			map[string]any{"to": []string{"12025550001", group}},
			nil, `{"recipients":[]}`,
			400, "syntax_constraint_violation",
			applied{},
		},
		{
			"groups: an explicit recipient",
			map[string]any{"to": []string{group}},
			nil, `{"recipients":["12025550143"]}`,
			202, "",
			applied{"12025550143": 1},
		},
		{"groups: [] after the group was deleted", map[string]any{"to": []string{group}}, func(u *customer, _ string) {
			require.Equal(u.t, 200, u.call(http.MethodDelete, "/groups/"+group, "").status)
		}, `{"recipients":[]}`, 400, "syntax_constraint_violation", applied{}},
		{"repetition: other recipients", nil, func(u *customer, id string) {
			require.Equal(u.t, 202, u.feedback(id, "12025550000").status)
		}, `{"recipients":["12025550001"]}`, 202, "", applied{"12025550000": 1, "12025550001": 1}},
		{"repetition: the same recipient", nil, func(u *customer, id string) {
			require.Equal(u.t, 202, u.feedback(id, "12025550000").status)
		}, `{"recipients":["12025550000"]}`, 202, "", applied{"12025550000": 2}},
		{
			"repetition: within one call", nil, nil, `{"recipients":["12025550000","+12025550000"]}`, 202, "",
			applied{"12025550000": 1},
		},
		{
			"maximum length: 1000",
			map[string]any{"to": numbers(1000)},
			nil,
			string(xms.Encode(map[string]any{"recipients": numbers(1000)})), 202, "", thousand,
		},
		{
			"maximum length: 1001", nil, nil, string(xms.Encode(map[string]any{"recipients": numbers(1001)})), 400,
			"syntax_constraint_violation",
			applied{},
		},
		{"numbers not in the batch", nil, nil, `{"recipients":["447700900118"]}`, 202, "", applied{"447700900118": 1}},
		{
			"timing: before dispatch",
			map[string]any{"send_at": "2000-01-02"},
			nil, `{"recipients":["12025550001"]}`, 202,
			"",
			applied{"12025550001": 1},
		},
		{
			"timing: after delivery", nil, func(u *customer, _ string) { u.run().settle() },
			`{"recipients":["12025550001"]}`, 202, "",
			applied{"12025550001": 1},
		},
		{
			"timing: after cancellation", nil, func(u *customer, id string) { u.cancel(id) },
			`{"recipients":["12025550001"]}`, 202, "",
			applied{"12025550001": 1},
		},
		{
			"timing: after thirteen days", nil, func(*customer, string) { time.Sleep(13 * 24 * time.Hour) },
			`{"recipients":["12025550001"]}`, 202, "",
			applied{"12025550001": 1},
		},
		{"400: invalid JSON", nil, nil, `{"recipients":`, 400, "syntax_invalid_json", applied{}},
		{"400: a string", nil, nil, `{"recipients":"12025550001"}`, 400, "syntax_invalid_json", applied{}},
		{
			"400: not a number", nil, nil, `{"recipients":["12025550001","you"]}`, 400,
			"syntax_invalid_parameter_format",
			applied{},
		},
		{
			"400: a group",
			map[string]any{"to": []string{group}},
			nil, `{"recipients":["` + group + `"]}`, 400,
			"syntax_invalid_parameter_format",
			applied{},
		},
		{"404: disabled by an update", map[string]any{"send_at": "2000-01-02"}, func(u *customer, id string) {
			u.object(u.call(http.MethodPost, "/batches/"+id, `{"feedback_enabled":false}`), 200)
		}, `{"recipients":["12025550001"]}`, 404, "", applied{}},
		{"404: disabled by a replace", map[string]any{"send_at": "2000-01-02"}, func(u *customer, id string) {
			u.object(u.call(http.MethodPut, "/batches/"+id,
				`{"to":["12025550001"],"from":"ACME","body":"x","send_at":"2000-01-02"}`), 200)
		}, `{"recipients":["12025550001"]}`, 404, "", applied{}},
		{
			"202: enabled by an update",
			map[string]any{"send_at": "2000-01-02", "feedback_enabled": false},
			func(u *customer, id string) {
				u.object(u.call(http.MethodPost, "/batches/"+id, `{"feedback_enabled":true}`), 200)
			}, `{"recipients":["12025550001"]}`, 202, "",
			applied{"12025550001": 1},
		},
		{"429", nil, answering(429), `{"recipients":["12025550001"]}`, 429, "", applied{}},
		{"500", nil, answering(500), `{"recipients":["12025550001"]}`, 500, "", applied{}},
		{"503", nil, answering(503), `{"recipients":["12025550001"]}`, 503, "", applied{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCustomer(t, Config{Calm: true, Plans: []Plan{{
					ID: testPlan, Token: testToken, Groups: map[string][]string{group: {"12025550143"}},
				}}})
				request := map[string]any{"to": numbers(3), "feedback_enabled": true}
				for member, value := range row.sent {
					request[member] = value
				}
				id := u.send(request)
				if row.before != nil {
					row.before(u, id)
				}
				h := u.call(http.MethodPost, "/batches/"+id+"/delivery_feedback", row.given)
				if row.code != "" {
					u.refused(h, row.status, row.code)
				} else {
					require.Equal(t, row.status, h.status)
					require.Empty(t, h.body)
				}
				got := applied{}
				for message, times := range u.sim.Ledger().AppliedFeedback() {
					got[message.Recipient] = times
				}
				require.Equal(t, row.applied, got)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		require.Equal(t, 404, u.feedback("01K2S9A1V5K3C8MEX7RQ0YBD4W", "12025550001").status,
			"an unknown batch must be answered 404")
	})
}

// TestFeedbackIsOwedByTheFlagAtDispatch checks that feedback_enabled at the time of dispatch decides what is owed.
func TestFeedbackIsOwedByTheFlagAtDispatch(t *testing.T) {
	for name, c := range map[string]struct {
		sent, update, owed bool
	}{
		"enabled, then disabled": {true, false, false},
		"disabled, then enabled": {false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCustomer(t, Config{Calm: true}).run()
				id := u.send(map[string]any{
					"to": numbers(2), "feedback_enabled": c.sent, "delivery_report": "per_recipient_final",
					"send_at": time.Now().Add(time.Hour),
				})
				require.Equal(t, c.sent, u.sim.Ledger().Batches[0].FeedbackEnabled)
				u.object(u.call(http.MethodPost, "/batches/"+id,
					string(xms.Encode(map[string]any{"feedback_enabled": c.update}))), 200)
				u.settle()
				l := u.sim.Ledger()
				require.Equal(t, c.update, l.Batches[0].FeedbackEnabled)
				require.Len(t, l.OwedFeedback(), map[bool]int{true: 2}[c.owed])
				require.Len(t, l.MissingFeedback(), map[bool]int{true: 2}[c.owed])
			})
		})
	}
}
