package simulator

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// TestEveryField sends every member of a request with each batch type, beside the required members. An answer is the
// value that is stored, "-" if the member is not stored, or the code of the error. The time is 2000-01-01.
func TestEveryField(t *testing.T) {
	const (
		format     = "syntax_invalid_parameter_format"
		constraint = "syntax_constraint_violation"
		structure  = "syntax_invalid_json"
		dropped    = "-"
	)
	all := func(answer any) [3]any { return [3]any{answer, answer, answer} }
	chars := func(n int) string { return strings.Repeat("ø", n) }
	bytes := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	url := func(n int) string { return "https://x/" + strings.Repeat("a", n-len("https://x/")) }
	withKey := func(key, value string) map[string]any { return map[string]any{key: map[string]any{"default": value}} }
	media := func(members ...string) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(members); i += 2 {
			m[members[i]] = members[i+1]
		}
		return m
	}
	for _, row := range []struct {
		name, member string
		given        any
		answers      [3]any // text, binary, media
	}{
		{"to: one", "to", numbers(1), all([]any{"12025550000"})},
		{
			"to: numbers in any notation", "to",
			[]string{"+1 (202) 555-0143", "0012025550144", "[1]2025550145"},
			all([]any{"12025550143", "12025550144", "12025550145"}),
		},
		{"to: a group", "to", []string{"dxCJTlfb1UsF"}, all([]any{"dxCJTlfb1UsF"})},
		{"to: missing", "to", nil, all(constraint)},
		{"to: none", "to", []string{}, all(constraint)},
		{"to: 1001", "to", numbers(1001), all(constraint)},
		{"to: a word", "to", []string{"you"}, all(format)},
		{"to: a string", "to", "12025550143", all(structure)},
		{"from: a number", "from", "+12025550100", all("12025550100")},
		{"from: a short code", "from", "54321", all("54321")},
		{"from: alphanumeric", "from", "My Shop", all("My Shop")},
		{"from: missing, and no pool", "from", nil, all(constraint)},
		{"from: empty", "from", "", all(format)},
		{"type: unknown", "type", "mt_smoke", all(format)},
		{"body: missing", "body", nil, all(constraint)},
		{"body: empty", "body", "", [3]any{"", "", structure}},
		{"body: 2000 characters", "body", chars(2000), [3]any{chars(2000), format, structure}},
		{"body: 2001 characters", "body", chars(2001), [3]any{constraint, format, structure}},
		{"body: 138 bytes, with a udh of 2", "body", bytes(138), [3]any{bytes(138), bytes(138), structure}},
		{"body: 139 bytes, with a udh of 2", "body", bytes(139), [3]any{bytes(139), constraint, structure}},
		{"body: base64 without its end", "body", "AAECAw", [3]any{"AAECAw", format, structure}},
		{
			"body: a URL", "body", media("url", "https://x/y"),
			[3]any{structure, structure, map[string]any{"url": "https://x/y"}},
		},
		{"body: URL, message, subject", "body", media("url", "https://x/y", "message", "m", "subject", "s"), [3]any{
			structure, structure, map[string]any{"url": "https://x/y", "message": "m", "subject": "s"},
		}},
		{"body: media without a URL", "body", media("message", "m"), [3]any{structure, structure, constraint}},
		{"udh: hex", "udh", "0605", [3]any{dropped, "0605", dropped}},
		{"udh: missing", "udh", nil, [3]any{dropped, constraint, dropped}},
		{"udh: not hex", "udh", "06xy", [3]any{dropped, format, dropped}},
		{
			"parameters", "parameters", withKey("name", "you"),
			[3]any{withKey("name", "you"), dropped, withKey("name", "you")},
		},
		{
			"parameters: a key of 16", "parameters", withKey("Aa0.-_Aa0.-_Aa0.", "x"),
			[3]any{withKey("Aa0.-_Aa0.-_Aa0.", "x"), dropped, withKey("Aa0.-_Aa0.-_Aa0.", "x")},
		},
		{"parameters: a key of 17", "parameters", withKey("Aa0.-_Aa0.-_Aa0.-", "x"), [3]any{format, dropped, format}},
		{"parameters: a key with a space", "parameters", withKey("a b", "x"), [3]any{format, dropped, format}},
		{
			"parameters: a value of 160", "parameters", withKey("a", chars(160)),
			[3]any{withKey("a", chars(160)), dropped, withKey("a", chars(160))},
		},
		{"parameters: a value of 161", "parameters", withKey("a", chars(161)), [3]any{constraint, dropped, constraint}},
		{
			"parameters: for a word", "parameters",
			map[string]any{"a": map[string]any{"you": "x"}},
			[3]any{format, dropped, format},
		},
		{
			"parameters: numbers are answered as written", "parameters",
			map[string]any{"a": map[string]any{"+1 202": "x"}},
			[3]any{
				map[string]any{"a": map[string]any{"+1 202": "x"}},
				dropped,
				map[string]any{"a": map[string]any{"+1 202": "x"}},
			},
		},
		{"parameters: null", "parameters", nil, all(dropped)},
		{"delivery_report: none", "delivery_report", "none", all("none")},
		{"delivery_report: summary", "delivery_report", "summary", all("summary")},
		{"delivery_report: full", "delivery_report", "full", all("full")},
		{"delivery_report: per_recipient", "delivery_report", "per_recipient", all("per_recipient")},
		{"delivery_report: per_recipient_final", "delivery_report", "per_recipient_final", all("per_recipient_final")},
		{"delivery_report: missing", "delivery_report", nil, all("none")},
		{"delivery_report: unknown", "delivery_report", "some", all(format)},
		{"send_at: future", "send_at", "2000-01-02T02:00:00.0000000+02:00", all("2000-01-02T00:00:00.000Z")},
		{"send_at: past", "send_at", "1999-12-31T23:59:59Z", all("1999-12-31T23:59:59.000Z")},
		{"send_at: null", "send_at", nil, all(dropped)},
		{"send_at: not a time", "send_at", "soon", all(format)},
		{"expire_at: missing", "expire_at", nil, all("2000-01-04T00:00:00.000Z")},
		{"expire_at: within three days", "expire_at", "2000-01-03", all("2000-01-03T00:00:00.000Z")},
		{"expire_at: later than three days", "expire_at", "2000-01-05", all("2000-01-04T00:00:00.000Z")},
		{"expire_at: before send_at", "expire_at", "1999-12-31", all(constraint)},
		{"expire_at: at send_at", "expire_at", "2000-01-01", all(constraint)},
		{"callback_url: 2048 characters", "callback_url", url(2048), all(url(2048))},
		{"callback_url: 2049 characters", "callback_url", url(2049), all(format)},
		{"callback_url: not a URL", "callback_url", "hooks", all(format)},
		{"callback_url: another scheme", "callback_url", "ftp://x/y", all(format)},
		{"client_reference: 2048 characters", "client_reference", chars(2048), all(chars(2048))},
		{"client_reference: 2049 characters", "client_reference", chars(2049), all(constraint)},
		{"feedback_enabled: true", "feedback_enabled", true, all(true)},
		{"feedback_enabled: null", "feedback_enabled", nil, all(dropped)},
		{"feedback_enabled: a string", "feedback_enabled", "true", all(structure)},
		{"flash_message: true", "flash_message", true, [3]any{true, dropped, dropped}},
		{"flash_message: missing", "flash_message", nil, [3]any{false, dropped, dropped}},
		{"truncate_concat", "truncate_concat", true, [3]any{true, dropped, dropped}},
		{"max_number_of_message_parts: 1", "max_number_of_message_parts", 1, [3]any{1.0, dropped, dropped}},
		{"max_number_of_message_parts: 0", "max_number_of_message_parts", 0, [3]any{constraint, dropped, dropped}},
		{"from_ton: 6", "from_ton", 6, [3]any{6.0, 6.0, dropped}},
		{"from_ton: 7", "from_ton", 7, [3]any{constraint, constraint, dropped}},
		{"from_ton: below 0", "from_ton", -1, [3]any{constraint, constraint, dropped}},
		{"from_npi: 18", "from_npi", 18, [3]any{18.0, 18.0, dropped}},
		{"from_npi: 19", "from_npi", 19, [3]any{constraint, constraint, dropped}},
		{"strict_validation", "strict_validation", true, [3]any{dropped, dropped, true}},
		{"dlt_principal_entity_id", "dlt_principal_entity_id", "1", all("1")},
		{"dlt_template_id", "dlt_template_id", "1", all("1")},
		{"an unknown member", "smoke", map[string]any{"a": 1}, all(dropped)},
	} {
		for i, required := range []map[string]any{
			{"type": "mt_text", "body": "hi"},
			{"type": "mt_binary", "body": "AAEC", "udh": "0605"},
			{"type": "mt_media", "body": map[string]any{"url": "https://x/y.png"}},
		} {
			t.Run(row.name+", "+required["type"].(string), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					u := newCustomer(t, Config{Calm: true, Plans: []Plan{{
						ID: testPlan, Token: testToken, CallbackURL: hooks,
						Groups: map[string][]string{"dxCJTlfb1UsF": nil},
					}}})
					request := map[string]any{"to": []string{"12025550143"}, "from": "ACME"}
					for key, value := range required {
						request[key] = value
					}
					request[row.member] = row.given
					body := string(xms.Encode(request))
					h := u.call(http.MethodPost, "/batches", body)
					dry := u.call(http.MethodPost, "/batches/dry_run", body)
					code, _ := row.answers[i].(string)
					if code == format || code == constraint || code == structure {
						u.refused(h, http.StatusBadRequest, code)
						u.refused(dry, http.StatusBadRequest, code)
						require.Empty(t, u.sim.Ledger().Batches)
						return
					}
					sent := u.object(h, http.StatusCreated)
					require.Equal(t, http.StatusOK, dry.status, "a dry run must accept what a send accepts")
					require.Equal(t, sent, u.get(sent["id"].(string)))
					if code == dropped {
						require.NotContains(t, sent, row.member)
						return
					}
					require.Equal(t, row.answers[i], sent[row.member])
				})
			})
		}
	}
}

func TestDefaultTypeIsText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		sent := u.object(u.call(http.MethodPost, "/batches", `{"to":["12025550143"],"from":"ACME","body":"hi"}`),
			http.StatusCreated)
		require.Equal(t, "mt_text", sent["type"])
	})
}

func TestThousandEntriesAreAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t,
			Config{
				Calm: true,
				Plans: []Plan{{
					ID: testPlan, Token: testToken,
					Groups: map[string][]string{"dxCJTlfb1UsF": numbers(1500)},
				}},
			})
		u.send(map[string]any{"to": append(numbers(999), "dxCJTlfb1UsF")})
		require.Len(t, u.sim.Ledger().Batches[0].Recipients, 1500,
			"a group must count as one entry and give one message per member")
		require.Equal(t, 1500, u.sim.State().Recipients)
	})
}

// TestBatchMembersInAnswers checks which members a batch has in answers.
func TestBatchMembersInAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t,
			Config{
				Calm:  true,
				Plans: []Plan{{ID: testPlan, Token: testToken, CallbackURL: hooks, Originators: []string{"54321"}}},
			})
		for _, row := range []struct {
			name, given, want string
		}{
			{
				"unset members are absent, defaults are filled in",
				`{"to":["+12025550143"],"body":"hi"}`,
				`{"to":["12025550143"],"body":"hi","type":"mt_text","canceled":false,"delivery_report":"none",
				"flash_message":false,
				"created_at":"2000-01-01T00:00:00.000Z","modified_at":"2000-01-01T00:00:00.000Z",
				"expire_at":"2000-01-04T00:00:00.000Z"}`,
			},
			{
				"null is absent",
				`{"to":["+12025550143"],"body":"hi","from":null,"send_at":null,"expire_at":null,"callback_url":null,
				"client_reference":null,
				"parameters":null,"feedback_enabled":null,"flash_message":null,"delivery_report":null,
				"truncate_concat":null,"type":null}`,
				`{"to":["12025550143"],"body":"hi","type":"mt_text","canceled":false,"delivery_report":"none",
				"flash_message":false,
				"created_at":"2000-01-01T00:00:00.000Z","modified_at":"2000-01-01T00:00:00.000Z",
				"expire_at":"2000-01-04T00:00:00.000Z"}`,
			},
			{
				"binary has no flash_message",
				`{"to":["+12025550143"],"body":"AAEC","udh":"0605","type":"mt_binary","from":"+54321"}`,
				`{"to":["12025550143"],"from":"54321","body":"AAEC","udh":"0605","type":"mt_binary","canceled":false,
				"delivery_report":"none",
				"created_at":"2000-01-01T00:00:00.000Z","modified_at":"2000-01-01T00:00:00.000Z",
				"expire_at":"2000-01-04T00:00:00.000Z"}`,
			},
			{
				"media",
				`{"to":["+12025550143"],"body":{"url":"https://x/y"},"type":"mt_media","strict_validation":false}`,
				`{"to":["12025550143"],"body":{"url":"https://x/y"},"type":"mt_media","canceled":false,
				"delivery_report":"none","strict_validation":false,
				"created_at":"2000-01-01T00:00:00.000Z","modified_at":"2000-01-01T00:00:00.000Z",
				"expire_at":"2000-01-04T00:00:00.000Z"}`,
			},
		} {
			sent := u.object(u.call(http.MethodPost, "/batches", row.given), http.StatusCreated)
			require.Len(t, sent["id"], 26, row.name)
			require.Equal(t, sent, u.get(sent["id"].(string)), row.name)
			delete(sent, "id")
			require.JSONEq(t, row.want, string(xms.Encode(sent)), row.name)
		}
	})
}
