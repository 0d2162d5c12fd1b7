package sinch

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFeedback(t *testing.T) {
	u := newUpstream(t, says(http.StatusAccepted, ""))
	require.NoError(t, u.client(t).Feedback(t.Context(), testBatch, []string{"+447700900118", "12025550143"}))
	r := u.requests()
	require.Len(t, r, 1)
	require.Equal(t, http.MethodPost, r[0].Method)
	require.Equal(t, "/xms/v1/"+testPlan+"/batches/"+testBatch+"/delivery_feedback", r[0].URI)
	require.JSONEq(t, `{"recipients":["447700900118","12025550143"]}`, r[0].Body)
}

// A number is sent as its digits, and once however it is spelt.
func TestFeedbackSendsDigitsOnce(t *testing.T) {
	u := newUpstream(t, says(http.StatusAccepted, ""))
	numbers := []string{"+447700900118", "0044 7700 900118", "44–7700.900118", "54321", "(44) 7700 900119"}
	require.NoError(t, u.client(t).Feedback(t.Context(), testBatch, numbers))
	require.JSONEq(t, `{"recipients":["447700900118","54321","447700900119"]}`, u.requests()[0].Body)
}

func TestFeedbackTakesEverySuccess(t *testing.T) {
	for _, status := range []int{200, 201, 202, 204} {
		u := newUpstream(t, says(status, ""))
		require.NoError(t, u.client(t).Feedback(t.Context(), testBatch, []string{"1"}))
	}
	u := newUpstream(t, says(http.StatusAccepted, "<html>thanks</html>"))
	require.NoError(t, u.client(t).Feedback(t.Context(), testBatch, []string{"1"}))
}

// An empty list tells Sinch that everybody received the batch.
func TestFeedbackNeverNamesNobody(t *testing.T) {
	u := newUpstream(t, says(http.StatusAccepted, ""))
	c := u.client(t)
	many := make([]string, MaxRecipients+1)
	for i := range many {
		many[i] = fmt.Sprintf("4477009%05d", i)
	}
	for _, recipients := range [][]string{nil, {}, {""}, {"447700900118", " "}, {"447700900118", "4477009001**"}, {"anonymous"}, {"1234567890123456"}, many} {
		require.ErrorIs(t, c.Feedback(t.Context(), testBatch, recipients), ErrRecipients)
	}
	require.Empty(t, u.requests())
	require.NoError(t, c.Feedback(t.Context(), testBatch, many[:MaxRecipients]))
}

// Tries are the caller's to count: one call is one request, whatever the answer.
func TestFeedbackIsTriedOnce(t *testing.T) {
	for _, status := range []int{401, 404, 408, 429, 500, 503} {
		u := newUpstream(t, says(status, ""))
		require.Error(t, u.client(t).Feedback(t.Context(), testBatch, []string{"1"}))
		require.Len(t, u.requests(), 1)
	}
}
