package sinch

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/dlr/fixtures"
)

func TestGetReport(t *testing.T) {
	body := fixtures.Text(t, "cb-dr-sms-full.json")
	u := newUpstream(t, respond(http.StatusOK, body))
	want, err := dlr.Parse([]byte(body))
	require.NoError(t, err)

	r, err := u.client(t).GetReport(t.Context(), want.Report.BatchID, ReportQuery{Kind: Full})
	require.NoError(t, err)
	require.Equal(t, want.Report, r.Report)
	require.Equal(t, body, string(r.Raw))
	require.Equal(t, "/xms/v1/"+testPlan+"/batches/"+r.BatchID+"/delivery_report?type=full", u.requests()[0].URI)

	_, err = u.client(t).GetReport(t.Context(), want.Report.BatchID, ReportQuery{Kind: Summary})
	require.NoError(t, err)
	require.Equal(t, "/xms/v1/"+testPlan+"/batches/"+r.BatchID+"/delivery_report?type=summary", u.requests()[1].URI)
}

func TestGetRecipientReport(t *testing.T) {
	body := fixtures.Text(t, "cb-rdr-sms-delivered.json")
	u := newUpstream(t, respond(http.StatusOK, body))
	want, err := dlr.Parse([]byte(body))
	require.NoError(t, err)

	r, err := u.client(t).GetRecipientReport(t.Context(), want.Report.BatchID, "+"+want.Report.Entries[0].Recipients[0])
	require.NoError(t, err)
	require.Equal(t, want.Report, r.Report)
	require.Equal(t, "/xms/v1/"+testPlan+"/batches/"+r.BatchID+"/delivery_report/"+r.Entries[0].Recipients[0],
		u.requests()[0].URI)
}

func TestAReportWithoutATypeIsOfTheRequestedKind(t *testing.T) {
	for _, kind := range []string{"", `"type":null,`, `"type":"",`} {
		u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
			body := `{` + kind + `"batch_id":"` + testBatch + `","statuses":[{"code":0,"status":"Delivered",` +
				`"count":1,"recipients":["447700900101"]}],"total_message_count":1 } `
			if strings.HasSuffix(r.URL.Path, "/447700900101") {
				body = `{` + kind + `"batch_id":"` + testBatch + `","recipient":"447700900101","code":0,"status":"Delivered"}`
			}
			respond(http.StatusOK, body)(w, r)
		})
		batch, err := u.client(t).GetReport(t.Context(), testBatch, ReportQuery{Kind: Full})
		require.NoError(t, err, kind)
		recipient, err := u.client(t).GetRecipientReport(t.Context(), testBatch, "447700900101")
		require.NoError(t, err, kind)
		require.Equal(t, []dlr.Type{dlr.BatchSMS, dlr.RecipientSMS}, []dlr.Type{batch.Type, recipient.Type})
		for _, r := range []Report{batch, recipient} { // the store decodes Raw again
			again, err := dlr.Parse(r.Raw)
			require.NoError(t, err)
			require.Equal(t, r.Report, again.Report)
		}
	}
}

func TestOtherAnswersThanTheReportAreErrors(t *testing.T) {
	for name, body := range map[string]string{
		"not JSON":      `<html>`,
		"no type":       `{"batch_id":"` + testBatch + `"}`,
		"another batch": `{"type":"delivery_report_sms","batch_id":"other","statuses":[],"total_message_count":0}`,
		"a recipient report": `{"type":"recipient_delivery_report_sms",` +
			`"batch_id":"` + testBatch + `","recipient":"1","code":0,"status":"Delivered"}`,
		"an inbound message": `{"type":"mo_text","id":"x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, respond(http.StatusOK, body))
			_, err := u.client(t).GetReport(t.Context(), testBatch, ReportQuery{Kind: Full})
			e, ok := errors.AsType[*Error](err)
			require.True(t, ok, err)
			assert.Equal(t, http.StatusOK, e.HTTPStatus)
			assert.Equal(t, GetReport, e.Operation)
			assert.NotEmpty(t, e.Text)
		})
	}
	u := newUpstream(t, respond(http.StatusOK, "{"))
	_, err := u.client(t).GetReport(t.Context(), testBatch, ReportQuery{Kind: Full})
	parse, ok := errors.AsType[*dlr.ParseError](err)
	require.True(t, ok, err)
	require.Equal(t, dlr.NotJSON, parse.Reason)
}
