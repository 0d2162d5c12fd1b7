package simulator

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

func TestMissingParameterValueAbortsOnlyItsRecipient(t *testing.T) {
	for name, c := range map[string]struct {
		given map[string]any
		want  [2]string
	}{
		"a value for one": {
			map[string]any{
				"body":       "Hi ${a}",
				"parameters": map[string]any{"a": map[string]any{"+1 202 555 0000": "x"}},
			},
			[2]string{"Delivered 0", "Aborted 405"},
		},
		"a default": {
			map[string]any{
				"body":       "Hi ${a}",
				"parameters": map[string]any{"a": map[string]any{"12025550000": "x", "default": "y"}},
			},
			[2]string{"Delivered 0", "Delivered 0"},
		},
		"an empty value": {
			map[string]any{
				"body":       "Hi ${a}",
				"parameters": map[string]any{"a": map[string]any{"12025550000": "", "12025550001": "y"}},
			},
			[2]string{"Delivered 0", "Delivered 0"},
		},
		"one of two parameters": {
			map[string]any{"body": "${a} ${b}", "parameters": map[string]any{
				"a": map[string]any{"default": "y"}, "b": map[string]any{"12025550001": "y"},
			}},
			[2]string{"Aborted 405", "Delivered 0"},
		},
		"no parameters at all": {map[string]any{"body": "Hi ${a}"}, [2]string{"Aborted 405", "Aborted 405"}},
		"an unused parameter": {
			map[string]any{"body": "Hi", "parameters": map[string]any{"a": map[string]any{"12025550000": "x"}}},
			[2]string{"Delivered 0", "Delivered 0"},
		},
		"in a media message": {
			map[string]any{
				"type": "mt_media", "body": map[string]any{"url": "https://x/y", "message": "Hi ${a}"},
				"parameters": map[string]any{"a": map[string]any{"12025550001": "x"}},
			},
			[2]string{"Aborted 405", "Delivered 0"},
		},
		"binary messages have no parameters": {
			map[string]any{"type": "mt_binary", "udh": "0605", "body": "JHthfQ=="}, [2]string{
				"Delivered 0",
				"Delivered 0",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCustomer(t, Config{Calm: true}).run()
				require.NoError(t, u.sim.SetOutcome("12025550009", Outcome{Status: "Failed", Code: 1}))
				c.given["to"], c.given["delivery_report"] = numbers(2), "per_recipient"
				u.send(c.given)
				u.settle()
				require.Equal(t, map[string]string{"12025550000": c.want[0], "12025550001": c.want[1]},
					u.recipientStatuses())
				for _, p := range u.received() {
					if p.report.Status == "Aborted" {
						require.Empty(t, p.report.OperatorAt)
					}
				}
			})
		})
	}
}

func TestTooManyPartsAreAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		require.NoError(t, u.sim.SetOutcome("12025550002", Outcome{Status: "Failed", Code: 153}))
		id := u.send(map[string]any{
			"to": numbers(3), "delivery_report": "per_recipient", "max_number_of_message_parts": 2,
			"body": strings.Repeat("a", 150) + "${a}",
			"parameters": map[string]any{"a": map[string]any{
				"12025550000": strings.Repeat("b", 10), "12025550001": strings.Repeat("b",
					156), "12025550002": strings.Repeat("b", 157),
			}},
		})
		u.settle()
		require.Equal(t,
			map[string]string{
				"12025550000": "Delivered 0", "12025550001": "Delivered 0",
				"12025550002": "Aborted 411",
			}, u.recipientStatuses(),
			"a message that cannot be sent must be aborted, whatever SetOutcome has planned")
		want := map[string]float64{"12025550000": 1, "12025550001": 2, "12025550002": 3}
		require.Len(t, u.received(), 5)
		for _, p := range u.received() {
			require.Equal(t, want[p.report.Recipient],
				u.object(response{status: 200, body: string(p.body)}, 200)["number_of_message_parts"])
		}
		for number, parts := range want {
			h := u.call(http.MethodGet, "/batches/"+id+"/delivery_report/"+number, "")
			require.Equal(t, parts, u.object(h, 200)["number_of_message_parts"])
		}
	})
}

func TestTruncatedTextIsOnePart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		u.send(map[string]any{
			"to": numbers(1), "body": strings.Repeat("a",
				2000), "truncate_concat": true, "max_number_of_message_parts": 1,
			"delivery_report": "per_recipient_final",
		})
		u.settle()
		require.Contains(t, string(u.received()[0].body), `"number_of_message_parts":1`)
		require.Equal(t, "Delivered", u.received()[0].report.Status)
	})
}

// TestReportMembers checks the optional members of a recipient report.
func TestReportMembers(t *testing.T) {
	for name, c := range map[string]struct {
		plan  Plan
		given string
		want  map[string]any
	}{
		"nothing": {Plan{}, `"from":"ACME"`, map[string]any{}},
		"number_of_message_parts if a maximum was set": {
			Plan{},
			`"from":"ACME","max_number_of_message_parts":3`,
			map[string]any{"number_of_message_parts": 1.0},
		},
		"applied_originator if from was absent": {
			Plan{Originators: []string{"+1 202 555 0100"}},
			`"truncate_concat":false`,
			map[string]any{"applied_originator": "12025550100"},
		},
		"no applied_originator if from was set": {
			Plan{Originators: []string{"54321"}},
			`"from":"ACME"`,
			map[string]any{},
		},
		"encoding if the account has smart encoding": {
			Plan{SmartEncoding: true},
			`"from":"ACME"`,
			map[string]any{"encoding": "GSM"},
		},
		"encoding, UCS-2": {
			Plan{SmartEncoding: true},
			`"from":"ACME","body":"你好"`,
			map[string]any{"encoding": "UNICODE"},
		},
		"no encoding for media": {
			Plan{SmartEncoding: true},
			`"from":"ACME","type":"mt_media","body":{"url":"https://x/y","message":"你好"}`,
			map[string]any{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.plan.ID, c.plan.Token, c.plan.CallbackURL = testPlan, testToken, hooks
				u := newCustomer(t, Config{Calm: true, Plans: []Plan{c.plan}}).run()
				sent := u.object(u.call(http.MethodPost, "/batches",
					`{"to":["12025550000"],"body":"hi","delivery_report":"per_recipient",`+c.given+`}`), 201)
				u.settle()
				require.NotContains(t, sent, "applied_originator")
				bodies := []string{u.call(http.MethodGet,
					"/batches/"+sent["id"].(string)+"/delivery_report/12025550000", "").body}
				for _, p := range u.received() {
					bodies = append(bodies, string(p.body))
				}
				require.Len(t, bodies, 3)
				for _, body := range bodies {
					read := u.object(response{status: 200, body: body}, 200)
					for _, member := range []string{
						"at", "batch_id", "code", "operator_status_at", "recipient",
						"status", "type",
					} {
						delete(read, member)
					}
					require.Equal(t, c.want, read)
				}
			})
		})
	}
}

func TestSeedSelectsOriginators(t *testing.T) {
	draw := func(seed uint64) (drawn map[string]string) {
		synctest.Test(t, func(t *testing.T) {
			u := newCustomer(t, Config{Calm: true, Seed: seed, Plans: []Plan{{
				ID: testPlan, Token: testToken, CallbackURL: hooks, Originators: []string{"11111", "22222", "33333"},
			}}}).run()
			body := string(xms.Encode(map[string]any{
				"to": numbers(50), "body": "x", "delivery_report": "per_recipient",
				"send_at": time.Now().Add(time.Hour),
			}))
			sent := u.object(u.call(http.MethodPost, "/batches", body), 201)
			require.NotContains(t,
				u.call(http.MethodGet, "/batches/"+sent["id"].(string)+"/delivery_report/12025550000",
					"").body, "applied_originator")
			u.settle()
			drawn = map[string]string{}
			for _, p := range u.received() {
				var read struct {
					Recipient string
					Sender    string `json:"applied_originator"`
				}
				require.NoError(t, json.Unmarshal(p.body, &read))
				if earlier, ok := drawn[read.Recipient]; ok {
					require.Equal(t, earlier, read.Sender, "all reports on a message must have the same sender")
				}
				drawn[read.Recipient] = read.Sender
			}
		})
		return drawn
	}
	first := draw(1)
	seen := map[string]bool{}
	for _, sender := range first {
		seen[sender] = true
	}
	require.Equal(t, map[string]bool{"11111": true, "22222": true, "33333": true}, seen)
	require.Equal(t, first, draw(1))
	require.NotEqual(t, first, draw(2))
}
