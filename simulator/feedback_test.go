package simulator

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

func TestFeedbackIsAppliedToNamedRecipients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		id := u.send(map[string]any{
			"to":               []string{"447700900118", "+12025550143", "12025550144"},
			"feedback_enabled": true,
		})
		read := fixtures.Read(t, "req-feedback.json")
		h := u.call(http.MethodPost, "/batches/"+id+"/delivery_feedback", string(read))
		require.Equal(t, http.StatusAccepted, h.status)
		require.Empty(t, h.body)
		require.Equal(t, http.StatusAccepted, u.feedback(id, "+12025550143", "0012025550143").status,
			"repeated feedback must be accepted")

		l := u.sim.Ledger()
		require.Equal(t, map[ledger.BatchRecipient]int{
			{Batch: id, Recipient: "447700900118"}: 1, {Batch: id, Recipient: "12025550143"}: 2,
		}, l.AppliedFeedback())
		require.Equal(t, []string{"447700900118", "12025550143"}, l.Feedback[0].Recipients)
		require.Equal(t, []string{"12025550143"}, l.Feedback[1].Recipients,
			"a number that is named twice must count once")
		require.True(t, l.Feedback[0].Applied)
		require.Equal(t, 202, l.Feedback[0].Status)
		require.Equal(t, testPlan, l.Feedback[0].Plan)
		require.False(t, l.Feedback[0].WholeBatch)
	})
}

func TestEmptyFeedbackAppliesToAllRecipients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		id := u.send(map[string]any{"to": numbers(2), "feedback_enabled": true})
		require.Equal(t, http.StatusAccepted, u.feedback(id).status)
		l := u.sim.Ledger()
		require.Equal(t, map[ledger.BatchRecipient]int{
			{Batch: id, Recipient: "12025550000"}: 1, {Batch: id, Recipient: "12025550001"}: 1,
		}, l.AppliedFeedback())
		require.True(t, l.Feedback[0].WholeBatch)
		require.Empty(t, l.Feedback[0].Recipients)
	})
}

func TestEmptyFeedbackForAGroupIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Plans: []Plan{{
			ID: testPlan, Token: testToken, Groups: map[string][]string{"dxCJTlfb1UsF": numbers(2)},
		}}})
		id := u.send(map[string]any{"to": []string{"dxCJTlfb1UsF"}, "feedback_enabled": true})
		h := u.feedback(id)
		require.Equal(t, http.StatusBadRequest, h.status)
		require.Contains(t, h.body, `"code":"syntax_constraint_violation"`)
		require.Empty(t, u.sim.Ledger().AppliedFeedback())
		require.Equal(t, http.StatusAccepted, u.feedback(id, "12025550001").status)
		require.Equal(t, map[ledger.BatchRecipient]int{{Batch: id, Recipient: "12025550001"}: 1},
			u.sim.Ledger().AppliedFeedback())
	})
}

func TestInvalidFeedbackIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		enabled := u.send(map[string]any{"to": numbers(2), "feedback_enabled": true})
		disabled := u.send(map[string]any{"to": numbers(2), "feedback_enabled": false})
		unset := u.send(map[string]any{"to": numbers(2)})
		one := `{"recipients":["12025550000"]}`
		cases := []struct {
			name, batch, body string
			status            int
			code              string
		}{
			{"unknown batch", "01K2S9A1V5K3C8MEX7RQ0YBD4W", one, 404, ""},
			{"not enabled", disabled, one, 404, ""},
			{"not mentioned", unset, one, 404, ""},
			{"invalid JSON", enabled, `{`, 400, "syntax_invalid_json"},
			{"a string", enabled, `{"recipients":"12025550000"}`, 400, "syntax_invalid_json"},
			{"a number", enabled, `{"recipients":[12025550000]}`, 400, "syntax_invalid_json"},
			{"no recipients", enabled, `{}`, 400, "syntax_constraint_violation"},
			{"null", enabled, `{"recipients":null}`, 400, "syntax_constraint_violation"},
			{"other letter case", enabled, `{"Recipients":["12025550000"]}`, 400, "syntax_constraint_violation"},
			{"a word", enabled, `{"recipients":["12025550000","me"]}`, 400, "syntax_invalid_parameter_format"},
			{
				"1001 recipients", enabled, string(xms.Encode(map[string]any{"recipients": numbers(1001)})), 400,
				"syntax_constraint_violation",
			},
		}
		for i, c := range cases {
			h := u.call(http.MethodPost, "/batches/"+c.batch+"/delivery_feedback", c.body)
			require.Equal(t, c.status, h.status, c.name)
			if c.code == "" {
				require.Empty(t, h.body, c.name)
			} else {
				require.Contains(t, h.body, `"code":"`+c.code+`"`, c.name)
			}
			call := u.sim.Ledger().Feedback[i]
			require.Equal(t, c.status, call.Status, c.name)
			require.False(t, call.Applied, c.name)
		}
		require.Empty(t, u.sim.Ledger().AppliedFeedback())
		require.Equal(t, http.StatusAccepted, u.feedback(enabled, numbers(1000)...).status)
	})
}

func TestNumbersOutsideTheBatchAreAcceptedAndRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		id := u.send(map[string]any{"to": numbers(1), "feedback_enabled": true})
		require.Equal(t, http.StatusAccepted, u.feedback(id, "12025550000", "+447700900118").status)
		l := u.sim.Ledger()
		require.Equal(t, []string{"447700900118"}, l.Feedback[0].UnknownRecipients)
		require.Equal(t, map[ledger.BatchRecipient]int{
			{Batch: id, Recipient: "12025550000"}: 1, {Batch: id, Recipient: "447700900118"}: 1,
		}, l.AppliedFeedback())
	})
}
