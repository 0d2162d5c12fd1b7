package sinch

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFeedback(t *testing.T) {
	u := newUpstream(t, respond(http.StatusAccepted, ""))
	require.NoError(t, u.client(t).Feedback(t.Context(), testBatch, []string{"+447700900118", "12025550143"}))
	r := u.requests()
	require.Len(t, r, 1)
	require.Equal(t, http.MethodPost, r[0].Method)
	require.Equal(t, "/xms/v1/"+testPlan+"/batches/"+testBatch+"/delivery_feedback", r[0].URI)
	require.JSONEq(t, `{"recipients":["447700900118","12025550143"]}`, r[0].Body)
}

// A number is sent as its digits, and once whatever its spellings.
func TestFeedbackSendsDigitsOnce(t *testing.T) {
	u := newUpstream(t, respond(http.StatusAccepted, ""))
	numbers := []string{"+447700900118", "0044 7700 900118", "44–7700.900118", "54321", "(44) 7700 900119"}
	require.NoError(t, u.client(t).Feedback(t.Context(), testBatch, numbers))
	require.JSONEq(t, `{"recipients":["447700900118","54321","447700900119"]}`, u.requests()[0].Body)
}

func TestFeedbackAcceptsEverySuccess(t *testing.T) {
	for _, status := range []int{200, 201, 202, 204} {
		u := newUpstream(t, respond(status, ""))
		require.NoError(t, u.client(t).Feedback(t.Context(), testBatch, []string{"1"}))
	}
	for _, body := range []string{"{}", "OK", `{"accepted":"<b>1</b>"}`, " \n", "[]"} {
		u := newUpstream(t, respond(http.StatusAccepted, body))
		require.NoError(t, u.client(t).Feedback(t.Context(), testBatch, []string{"1"}), "%q", body)
	}
}

// A web page is not an answer of the API, whatever its status.
func TestWebPagesAreNotAnswers(t *testing.T) {
	for body, kind := range map[string]string{
		"<html><body>Please sign in</body></html>":        "text/html",
		"<!DOCTYPE html>\n<title>Log in</title>":          "",
		"\ufeff\r\n  <!-- portal --><script></script>":    "text/plain",
		"<?xml version=\"1.0\"?><html></html>":            "application/xhtml+xml; charset=utf-8",
		"Please sign in to the network":                   "text/html; charset=iso-8859-1",
		"<H1>400 The plain HTTP request was sent</H1>":    "application/json",
		"\xff\xfe<\x00h\x00t\x00m\x00l\x00>\x00":          "text/html",
		"<Error><Code>AccessDenied</Code></Error>":        "application/xml",
		"<html>" + strings.Repeat("x", 2<<20) + "</html>": "text/html",

		"\ufeff<html>":                           "",
		" \n\ufeff\n<!-- a --><html>":            "",
		"\ufeff<?xml version='1.0'?><html>":      "",
		encodeWide("\ufeff<html>", 2, false):     "",
		encodeWide("\ufeff<html>", 2, true):      "",
		encodeWide("<html>", 2, false):           "",
		encodeWide("<html>", 2, true):            "application/json",
		encodeWide("\r\n <!doctype>", 2, false):  "",
		encodeWide("\r\n <!doctype>", 2, true):   "",
		encodeWide("\ufeff\r\n<?xml?>", 4, true): "",
		encodeWide("<html>", 4, false):           "",
		encodeWide("Please sign in", 2, true):    "text/html; charset=utf-16",
	} {
		for _, status := range []int{200, 202, 400, 401, 403, 404, 421} {
			u := newUpstream(t, respond(status, body, "Content-Type", kind))
			err := u.client(t).Feedback(t.Context(), testBatch, []string{"1"})
			answer, ok := errors.AsType[*Error](err)
			require.True(t, ok, "%d %.40q", status, body)
			require.True(t, answer.Page, "%d %.40q", status, body)
			require.Equal(t, status, answer.HTTPStatus)
		}
	}
	u := newUpstream(t,
		respond(401, "<html>no</html>", "Content-Type", "text/html", "WWW-Authenticate", `Bearer error="invalid_token"`))
	answer, _ := errors.AsType[*Error](u.client(t).Feedback(t.Context(), testBatch, []string{"1"}))
	require.False(t, answer.Page, "Sinch itself refuses the token")
	_, err := newUpstream(t, respond(200, "<html>no</html>")).client(t).GetBatch(t.Context(), testBatch)
	answer, _ = errors.AsType[*Error](err)
	require.True(t, answer.Page)
}

// encodeWide encodes a text as UTF-16 (size 2) or UTF-32 (size 4).
func encodeWide(text string, size int, bigEndian bool) string {
	var b []byte
	for _, r := range text {
		character := make([]byte, size)
		for i := range 2 {
			at := i
			if bigEndian {
				at = size - 1 - i
			}
			character[at] = byte(r >> (8 * i))
		}
		b = append(b, character...)
	}
	return string(b)
}

// JSON in another encoding is not a web page. For feedback the status is enough; an answer that must be decoded is an
// error.
func TestJSONInAnotherEncoding(t *testing.T) {
	for _, text := range []string{`{"id": "` + testBatch + `"}`, "\ufeff{}", " \n[]", "\ufeff \ufeff{}"} {
		for _, body := range []string{
			text, encodeWide(text, 2, false), encodeWide(text, 2, true), encodeWide(text, 4, false), encodeWide(text, 4, true),
		} {
			for _, kind := range []string{"", "application/json; charset=utf-16", "text/html"} {
				u := newUpstream(t, respond(200, body, "Content-Type", kind))
				require.NoError(t, u.client(t).Feedback(t.Context(), testBatch, []string{"1"}), "%q", body)
				_, err := u.client(t).GetBatch(t.Context(), testBatch)
				if text == body && strings.Contains(text, testBatch) {
					require.NoError(t, err)
					continue
				}
				answer, ok := errors.AsType[*Error](err)
				require.True(t, ok, "%q", body)
				require.False(t, answer.Page, "%q", body)
			}
		}
	}
}

// To Sinch an empty list means that all recipients received the batch.
func TestFeedbackRefusesAnEmptyList(t *testing.T) {
	u := newUpstream(t, respond(http.StatusAccepted, ""))
	c := u.client(t)
	many := make([]string, MaxRecipients+1)
	for i := range many {
		many[i] = fmt.Sprintf("4477009%05d", i)
	}
	for _, recipients := range [][]string{
		nil, {}, {""}, {"447700900118", " "}, {"447700900118", "4477009001**"}, {"anonymous"}, {"1234567890123456"}, many,
	} {
		require.ErrorIs(t, c.Feedback(t.Context(), testBatch, recipients), ErrRecipients)
	}
	require.Empty(t, u.requests())
	require.NoError(t, c.Feedback(t.Context(), testBatch, many[:MaxRecipients]))
}

// Retries are up to the caller: one call makes one request, whatever the answer.
func TestFeedbackMakesOneRequest(t *testing.T) {
	for _, status := range []int{401, 404, 408, 429, 500, 503} {
		u := newUpstream(t, respond(status, ""))
		require.Error(t, u.client(t).Feedback(t.Context(), testBatch, []string{"1"}))
		require.Len(t, u.requests(), 1)
	}
}
