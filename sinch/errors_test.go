package sinch

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/dlr/fixtures"
)

func TestErrorShapes(t *testing.T) {
	for name, test := range map[string]struct {
		status           int
		body, code, text string
		shown            string
	}{
		"constraint": {
			400, fixtures.Text(t, "err-400-constraint.json"),
			"syntax_constraint_violation", "The body does not satisfy a constraint: to must have between 1 and 1000 elements",
			"sinch: send delivery feedback: 400 Bad Request: syntax_constraint_violation: The body does not " +
				"satisfy a constraint: to must have between 1 and 1000 elements",
		},
		"Spring": {
			400, fixtures.Text(t, "err-400-spring.json"), "", "Bad Request",
			"sinch: send delivery feedback: 400 Bad Request: Bad Request",
		},
		"unknown group": {
			403, fixtures.Text(t, "err-403-unknown-group.json"), "unknown_group",
			"Group 01K2NDE5RPA0C7W3B9HYZK4T6M does not exist",
			"sinch: send delivery feedback: 403 Forbidden: unknown_group: Group 01K2NDE5RPA0C7W3B9HYZK4T6M does not exist",
		},
		"dispatched": {
			403, fixtures.Text(t, "err-403-dispatched.json"), "batch_already_dispatched", "The batch has left the queue",
			"sinch: send delivery feedback: 403 Forbidden: batch_already_dispatched: The batch has left the queue",
		},
		"Google": {
			404, `{"error":{"code":404,"message":"No such batch","status":"NOT_FOUND","details":[]}}`, "NOT_FOUND",
			"No such batch",
			"sinch: send delivery feedback: 404 Not Found: NOT_FOUND: No such batch",
		},
		"problem": {
			429, `{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"slow down"}`, "", "slow down",
			"sinch: send delivery feedback: 429 Too Many Requests: slow down",
		},
		"OAuth2": {
			401, `{"error":"invalid_client","error_description":"unknown key"}`, "invalid_client", "unknown key",
			"sinch: send delivery feedback: 401 Unauthorized: invalid_client: unknown key",
		},
		"other letter case": {
			404, `{"code":"unknown_batch","Code":"x","text":"No such batch","TEXT":"y","Detail":"z"}`,
			"unknown_batch", "No such batch",
			"sinch: send delivery feedback: 404 Not Found: unknown_batch: No such batch",
		},
		"not strings": {
			400, `{"code":400,"text":["a"],"message":null}`, "", "",
			`sinch: send delivery feedback: 400 Bad Request: {"code":400,"text":["a"],"message":null}`,
		},
		"empty": {404, ``, "", "", "sinch: send delivery feedback: 404 Not Found"},
		"HTML": {
			502, "<html>\r\n\t<h1>Bad\x00 gateway</h1>\n", "", "",
			"sinch: send delivery feedback: 502 Bad Gateway: <html> <h1>Bad gateway</h1>",
		},
		"not UTF-8": {500, "\xff\xfe", "", "", "sinch: send delivery feedback: 500 Internal Server Error: \ufffd"},
		"a list":    {500, `[1]`, "", "", "sinch: send delivery feedback: 500 Internal Server Error: [1]"},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, respond(test.status, test.body))
			err := u.client(t).Feedback(t.Context(), testBatch, []string{"1"})
			e, ok := errors.AsType[*Error](err)
			require.True(t, ok, err)
			assert.Equal(t, SendFeedback, e.Operation)
			assert.Equal(t, test.status, e.HTTPStatus)
			assert.Equal(t, test.code, e.Code)
			assert.Equal(t, test.text, e.Text)
			assert.Equal(t, test.shown, e.Error())
			assert.Equal(t, test.body == "", e.Excerpt == "")
		})
	}
}

func TestErrorsHoldNoSecretsAndNoWholeNumbers(t *testing.T) {
	body := `{"code":"x","text":"token ` + testToken + ` may not name +44 7700 900118, (202) 555-0143 or 12025550162"}`
	u := newUpstream(t, respond(http.StatusBadRequest, body))
	err := u.client(t).Feedback(t.Context(), testBatch, []string{"1"})
	e, ok := errors.AsType[*Error](err)
	require.True(t, ok, err)
	require.Equal(t, "token *** may not name +447*******18, (202*****43 or 120******62", e.Text)
	require.NotContains(t, e.Excerpt, testToken)
	require.NotContains(t, e.Excerpt, "900118")
}

func TestErrorsAreBounded(t *testing.T) {
	long := strings.Repeat("é", 1<<20)
	u := newUpstream(t, respond(http.StatusBadRequest, `{"code":"`+long+`","text":"`+long+`"}`))
	err := u.client(t).Feedback(t.Context(), testBatch, []string{"1"})
	e, ok := errors.AsType[*Error](err)
	require.True(t, ok, err)
	require.Equal(t, 256, utf8.RuneCountInString(e.Excerpt))
	require.Less(t, len(e.Error()), 2000)
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2025, 8, 19, 16, 0, 0, 0, time.UTC)
	const date = "Tue, 19 Aug 2025 15:00:00 GMT"
	for name, test := range map[string]struct {
		value, date string
		want        time.Duration
	}{
		"none":                     {"", "", 0},
		"seconds":                  {"120", "", 2 * time.Minute},
		"space around":             {" 7 ", "", 7 * time.Second},
		"zero":                     {"0", "", 0},
		"negative":                 {"-5", "", 0},
		"fraction":                 {"1.5", "", 0},
		"absurd":                   {"18446744073709551615", "", 24 * time.Hour},
		"beyond numbers":           {"99999999999999999999", "", 0},
		"date":                     {"Tue, 19 Aug 2025 16:00:30 GMT", "", 30 * time.Second},
		"date by the answer's own": {"Tue, 19 Aug 2025 15:00:30 GMT", date, 30 * time.Second},
		"date gone by":             {"Tue, 19 Aug 2025 14:00:00 GMT", date, 0},
		"date of the year 9999":    {"Fri, 31 Dec 9999 23:59:59 GMT", date, 24 * time.Hour},
		"RFC 850 date":             {"Tuesday, 19-Aug-25 16:00:30 GMT", "", 30 * time.Second},
		"words":                    {"soon", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			h.Set("Retry-After", test.value)
			if test.date != "" {
				h.Set("Date", test.date)
			}
			require.Equal(t, test.want, RetryAfter(h, now))
		})
	}
}

func TestRetryAfterComesWithTheError(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "42")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	_, err := u.client(t).GetBatch(t.Context(), testBatch)
	e, ok := errors.AsType[*Error](err)
	require.True(t, ok, err)
	require.Equal(t, 42*time.Second, e.RetryAfter)
}

// For any input, the cleaned text contains no whole phone number and is fit for display.
func TestCleanedTextHasNoWholeNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`\+?[1-9][0-9]{7,14}`).Draw(t, "number")
		before, after := rapid.String().Draw(t, "before"), rapid.String().Draw(t, "after")
		got := Clean(before+number+after, 256, nil)
		require.NotContains(t, got, dlr.Digits(number))
		require.True(t, utf8.ValidString(got))
		require.LessOrEqual(t, utf8.RuneCountInString(got), 256)
		require.Equal(t, got, Clean(got, 256, nil), "cleaning again changes nothing")
	})
}
