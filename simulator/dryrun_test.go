package simulator

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// TestEveryDryRun checks each documented property of the dry run.
func TestEveryDryRun(t *testing.T) {
	group := map[string][]string{"dxCJTlfb1UsF": numbers(3)}
	for name, c := range map[string]struct {
		query string
		given map[string]any
		want  string
	}{
		"no recipients listed by default": {
			"",
			map[string]any{"to": numbers(2)},
			`{"number_of_recipients":2,"number_of_messages":2}`,
		},
		"per_recipient=false": {
			"?per_recipient=false",
			map[string]any{"to": numbers(2)},
			`{"number_of_recipients":2,"number_of_messages":2}`,
		},
		"per_recipient=true": {
			"?per_recipient=true",
			map[string]any{"to": numbers(1)},
			`{"number_of_recipients":1,"number_of_messages":1,"per_recipient":[{"recipient":"12025550000",` +
				`"number_of_parts":1,"body":"hi","encoding":"text"}]}`,
		},
		"number_of_recipients limits the list": {
			"?per_recipient=true&number_of_recipients=1",
			map[string]any{"to": numbers(3)},
			`{"number_of_recipients":3,"number_of_messages":3,"per_recipient":[{"recipient":"12025550000",` +
				`"number_of_parts":1,"body":"hi","encoding":"text"}]}`,
		},
		"number_of_recipients 0": {
			"?per_recipient=true&number_of_recipients=0",
			map[string]any{"to": numbers(2)},
			`{"number_of_recipients":2,"number_of_messages":2}`,
		},
		"parts are counted": {
			"",
			map[string]any{"to": numbers(2), "body": strings.Repeat("a", 161)},
			`{"number_of_recipients":2,"number_of_messages":4}`,
		},
		"members of groups count": {
			"",
			map[string]any{"to": []string{"dxCJTlfb1UsF", "12025550001", "12025550143"}},
			`{"number_of_recipients":4,"number_of_messages":4}`,
		},
		"parameters by number in any notation": {
			"?per_recipient=true",
			map[string]any{
				"to": []string{"+12025550143", "447700900118", "46701740607"}, "body": "Hi ${name}!",
				"parameters": map[string]any{"name": map[string]string{
					"12025550143": "Żak", "0044 7700 900118": "Ann",
					"default": "you",
				}},
			},
			`{"number_of_recipients":3,"number_of_messages":3,"per_recipient":[
				{"recipient":"12025550143","number_of_parts":1,"body":"Hi Żak!","encoding":"unicode"},
				{"recipient":"447700900118","number_of_parts":1,"body":"Hi Ann!","encoding":"text"},
				{"recipient":"46701740607","number_of_parts":1,"body":"Hi you!","encoding":"text"}]}`,
		},
		"a parameter without value": {
			"?per_recipient=true",
			map[string]any{"to": numbers(1), "body": "Hi ${name}!"},
			`{"number_of_recipients":1,"number_of_messages":1,"per_recipient":[{"recipient":"12025550000",` +
				`"number_of_parts":1,"body":"Hi ${name}!","encoding":"text"}]}`,
		},
		"truncated": {
			"?per_recipient=1",
			map[string]any{"to": numbers(1), "body": strings.Repeat("你", 71), "truncate_concat": true},
			`{"number_of_recipients":1,"number_of_messages":1,"per_recipient":[{"recipient":"12025550000",` +
				`"number_of_parts":1,"body":"` + strings.Repeat("你", 70) + `","encoding":"unicode"}]}`,
		},
		"binary": {
			"?per_recipient=true",
			map[string]any{"to": numbers(1), "type": "mt_binary", "udh": "0605", "body": "JHt4fQ=="},
			`{"number_of_recipients":1,"number_of_messages":1,"per_recipient":[{"recipient":"12025550000",` +
				`"number_of_parts":1,"body":"JHt4fQ==","encoding":"text"}]}`,
		},
		"media": {
			"?per_recipient=true",
			map[string]any{
				"to": numbers(1), "type": "mt_media", "body": map[string]string{
					"url":     "https://x/y",
					"message": "${a}" + strings.Repeat("b", 200),
				},
				"parameters": map[string]any{"a": map[string]string{"default": "A"}},
			},
			`{"number_of_recipients":1,"number_of_messages":1,"per_recipient":[{"recipient":"12025550000",` +
				`"number_of_parts":1,"body":"A` + strings.Repeat("b", 200) + `","encoding":"text"}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCustomer(t, Config{Calm: true, Plans: []Plan{{ID: testPlan, Token: testToken, Groups: group}}})
				request := map[string]any{"from": "12025550100", "body": "hi"}
				for k, v := range c.given {
					request[k] = v
				}
				h := u.call(http.MethodPost, "/batches/dry_run"+c.query, string(xms.Encode(request)))
				require.Equal(t, http.StatusOK, h.status, h.body)
				require.JSONEq(t, c.want, h.body)
				require.Empty(t, u.sim.Ledger().Batches, "a dry run must not store a batch")
				require.True(t, u.sim.Settled(), "a dry run must not send")
			})
		})
	}
}

func TestDryRunListsHundredRecipientsByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		body := string(xms.Encode(map[string]any{"to": numbers(150), "from": "ACME", "body": "x"}))
		for query, named := range map[string]int{"": 100, "&number_of_recipients=1000": 150} {
			h := u.call(http.MethodPost, "/batches/dry_run?per_recipient=true"+query, body)
			require.Len(t, u.object(h, 200)["per_recipient"], named)
		}
	})
}

func TestDryRunOfTheExample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		request := fixtures.Read(t, "req-dry-run.json")
		want := fixtures.Read(t, "res-dry-run-200.json")
		h := u.call(http.MethodPost, "/batches/dry_run?per_recipient=true", string(request))
		require.Equal(t, http.StatusOK, h.status)
		require.JSONEq(t, string(want), h.body)
	})
}

func TestDryRunAndSendAnswerTheSameErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Plans: []Plan{{ID: testPlan, Token: testToken}}})
		const good = `{"to":["12025550143"],"from":"ACME","body":"x"}`
		for _, c := range []struct {
			query, body string
			status      int
			code        string
		}{
			{"", `{`, 400, "syntax_invalid_json"},
			{"", `{"to":["foo"],"from":"ACME","body":"x"}`, 400, "syntax_invalid_parameter_format"},
			{"", `{"to":["12025550143"],"from":"ACME"}`, 400, "syntax_constraint_violation"},
			{"", `{"to":["01K2NDE5RPA0C7W3B9HYZK4T6M"],"from":"ACME","body":"x"}`, 403, "unknown_group"},
			{
				"", `{"to":["12025550143"],"from":"ACME","body":"x","delivery_report":"full"}`, 403,
				"missing_callback_url",
			},
			{"?per_recipient=maybe", good, 400, "syntax_invalid_parameter_format"},
			{"?number_of_recipients=x", good, 400, "syntax_invalid_parameter_format"},
			{"?number_of_recipients=1001", good, 400, "syntax_constraint_violation"},
			{"?number_of_recipients=-1", good, 400, "syntax_constraint_violation"},
		} {
			u.refused(u.call(http.MethodPost, "/batches/dry_run"+c.query, c.body), c.status, c.code)
		}
	})
}
