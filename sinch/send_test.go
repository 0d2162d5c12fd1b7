package sinch

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
)

func TestSend(t *testing.T) {
	u := newUpstream(t, respond(http.StatusCreated, fixtures.Text(t, "res-send-text-201.json")))
	request := fixtures.Text(t, "req-send-text-feedback-group.json")
	m, err := ParseMessage([]byte(request))
	require.NoError(t, err)
	b, err := u.client(t).Send(t.Context(), m)
	require.NoError(t, err)
	require.Equal(t, testBatch, b.ID)
	require.Equal(t, ReportPerRecipientFinal, b.DeliveryReport)
	require.True(t, b.FeedbackEnabled)
	require.Empty(t, b.Unknown)

	sent, err := ParseMessage([]byte(u.requests()[0].Body))
	require.NoError(t, err)
	require.Equal(t, m, sent)
}

// After such answers the outcome of a send is unknown. The client does not send again.
func TestASendOfUnknownOutcome(t *testing.T) {
	hello := text(func(*TextMessage) {})
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"id":`))
	})
	_, err := u.client(t).Send(t.Context(), hello)
	require.ErrorContains(t, err, "sinch: send batch: ")
	_, isAnswer := errors.AsType[*Error](err)
	require.False(t, isAnswer)
	require.Len(t, u.requests(), 1)

	u = newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if assert.NoError(t, err) {
			_ = c.Close()
		}
	})
	_, err = u.client(t).Send(t.Context(), hello)
	require.Error(t, err)
	require.Len(t, u.requests(), 1)

	u = newUpstream(t, respond(http.StatusCreated, `{"to":["447700900118"]}`))
	_, err = u.client(t).Send(t.Context(), hello)
	require.ErrorIs(t, requireError(t, err), errNoBatch)
	require.Equal(t, http.StatusCreated, requireError(t, err).HTTPStatus)
}

func TestCancel(t *testing.T) {
	u := newUpstream(t, respond(http.StatusOK, fixtures.Text(t, "res-cancel-200.json")))
	b, err := u.client(t).Cancel(t.Context(), "01K2R04WZ6E8J1CTANH5VB3M2P")
	require.NoError(t, err)
	require.True(t, b.Canceled)
	require.Equal(t, []string{"12025550191"}, b.To)
	require.Equal(t, ReportSummary, b.DeliveryReport)
}

func TestReplace(t *testing.T) {
	u := newUpstream(t, respond(http.StatusOK, fixtures.Text(t, "res-send-text-201.json")))
	m, err := ParseMessage(fixtures.Read(t, "req-replace.json"))
	require.NoError(t, err)
	_, err = u.client(t).Replace(t.Context(), testBatch, m)
	require.NoError(t, err)
	require.JSONEq(t, `{"type":"mt_text","to":["12025550191"],"from":"12025550100","body":"Replaced text",`+
		`"send_at":"2025-08-20T06:15:00.000Z","feedback_enabled":true}`, u.requests()[0].Body)
}

func TestChangesRejectAnswersAboutAnotherBatch(t *testing.T) {
	u := newUpstream(t, respond(http.StatusOK, `{"id":"other","canceled":true}`))
	c := u.client(t)
	_, updated := c.Update(t.Context(), testBatch, Update{From: new("x")})
	_, replaced := c.Replace(t.Context(), testBatch, text(func(*TextMessage) {}))
	_, cancelled := c.Cancel(t.Context(), testBatch)
	for operation, err := range map[Operation]error{UpdateBatch: updated, ReplaceBatch: replaced, CancelBatch: cancelled} {
		e := requireError(t, err)
		require.Equal(t, operation, e.Operation)
		require.ErrorIs(t, e, errOtherBatch)
	}
}

func TestUpdateAfterDispatch(t *testing.T) {
	u := newUpstream(t, respond(http.StatusForbidden, fixtures.Text(t, "err-403-dispatched.json")))
	_, err := u.client(t).Update(t.Context(), testBatch, Update{Text: new("x")})
	require.Equal(t, "batch_already_dispatched", requireError(t, err).Code)
}

func TestFeedbackWholeBatch(t *testing.T) {
	u := newUpstream(t, respond(http.StatusAccepted, ""))
	require.NoError(t, u.client(t).FeedbackWholeBatch(t.Context(), testBatch))
	require.JSONEq(t, fixtures.Text(t, "req-feedback-all.json"), u.requests()[0].Body)
}

func TestDryRun(t *testing.T) {
	m, err := ParseMessage(fixtures.Read(t, "req-dry-run.json"))
	require.NoError(t, err)
	for name, test := range map[string]struct {
		query DryRunQuery
		uri   string
		body  string
		want  DryRun
	}{
		"all": {
			DryRunQuery{PerRecipient: true, Recipients: 1000},
			"?number_of_recipients=1000&per_recipient=true", fixtures.Text(t, "res-dry-run-200.json"),
			DryRun{Recipients: 2, Messages: 2, PerRecipient: []DryRunRecipient{
				{Recipient: "12025550143", Body: "Hi Zoë Żak! 15% off today", Parts: 1, Encoding: "unicode"},
				{Recipient: "447700900118", Body: "Hi there! 15% off today", Parts: 1, Encoding: "text"},
			}},
		},
		"counts": {
			DryRunQuery{},
			"", `{"number_of_recipients":200,"number_of_messages":300}`,
			DryRun{Recipients: 200, Messages: 300},
		},
		"no recipients": {
			DryRunQuery{}, "", `{"number_of_recipients":0,"number_of_messages":"0","per_recipient":[]}`, DryRun{},
		},
		"the older member": {
			DryRunQuery{},
			"",
			`{"number_of_recipients":"1","number_of_messages":1,"per_recipient":[{"recipient":12025550143,` +
				`"message_part":"2"},7]}`,
			DryRun{Recipients: 1, Messages: 1, PerRecipient: []DryRunRecipient{{Recipient: "12025550143", Parts: 2}, {}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, respond(http.StatusOK, test.body))
			got, err := u.client(t).DryRun(t.Context(), m, test.query)
			require.NoError(t, err)
			require.Equal(t, &test.want, got)
			require.Equal(t, "/xms/v1/"+testPlan+"/batches/dry_run"+test.uri, u.requests()[0].URI)
		})
	}
}
