package sinch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/sinch"
)

// respondWith starts a stand-in for Sinch that gives every call the same answer.
func respondWith(status int, body string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "30")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
}

// newClient returns a client of a service plan. A real one sets Region instead of BaseURL.
func newClient(upstream *httptest.Server) *sinch.Client {
	client, err := sinch.New(sinch.Config{Plan: "YOUR_SERVICE_PLAN_ID", BaseURL: upstream.URL, Token: "YOUR_API_TOKEN"})
	if err != nil {
		panic(err)
	}
	return client
}

// The client exchanges a project's key for tokens.
func ExampleNew() {
	_, err := sinch.New(sinch.Config{
		Region:  "br",
		Project: sinch.Project{ID: "YOUR_PROJECT_ID", KeyID: "YOUR_KEY_ID", KeySecret: "YOUR_KEY_SECRET"},
	})
	fmt.Println(err)
	// Output: region: a project's access key works only in us and eu; use the service plan's API token
}

// A message has one body for all recipients; parameters replace what differs.
func ExampleClient_Send() {
	upstream := respondWith(http.StatusCreated,
		`{"id":"01K2QHBT0F9G2KSY7P3M1DQX8R","to":["447700900118","01K2NDE5RPA0C7W3B9HYZK4T6M"],"type":"mt_text"}`)
	defer upstream.Close()
	client := newClient(upstream)
	defer client.CloseIdleConnections()

	batch, err := client.Send(context.Background(), &sinch.TextMessage{
		Options: sinch.Options{
			To:              []string{"+44 7700 900118", "01K2NDE5RPA0C7W3B9HYZK4T6M"},
			DeliveryReport:  sinch.ReportPerRecipientFinal,
			ClientReference: "otp/8a02",
			FeedbackEnabled: true,
		},
		Body:       "Hi ${name}, your code is 4711.",
		Parameters: sinch.Parameters{"name": {"+44 7700 900118": "Ada", "default": "there"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(batch.ID, len(batch.Numbers()), batch.Groups())
	// Output: 01K2QHBT0F9G2KSY7P3M1DQX8R 1 1
}

// A message that breaks a rule of Sinch's is refused before any call. The error names the member.
func ExampleInvalidError() {
	message := &sinch.TextMessage{Body: "To whom?"}
	err := message.Validate()
	if e, ok := errors.AsType[*sinch.InvalidError](err); ok {
		fmt.Println(e.Member)
	}
	fmt.Println(err)
	// Output:
	// to
	// to: it is empty; name at least one number or group
}

// After a send with unknown outcome, the list of batches shows whether it must be sent again.
func ExampleClient_Batches() {
	upstream := respondWith(http.StatusOK,
		`{"count":1,"page":0,"page_size":1,"batches":[{"id":"01K2QHBT0F9G2KSY7P3M1DQX8R","client_reference":"otp/8a02"}]}`)
	defer upstream.Close()
	client := newClient(upstream)
	defer client.CloseIdleConnections()

	query := sinch.BatchesQuery{ClientReference: "otp/8a02", Start: time.Now().Add(-time.Hour)}
	for batch, err := range client.Batches(context.Background(), query) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("already sent:", batch.ID)
	}
	// Output: already sent: 01K2QHBT0F9G2KSY7P3M1DQX8R
}

// Feedback names recipients that received a batch. It refuses an empty list, which to Sinch means all recipients.
func ExampleClient_Feedback() {
	upstream := respondWith(http.StatusAccepted, "")
	defer upstream.Close()
	client := newClient(upstream)
	defer client.CloseIdleConnections()

	ctx := context.Background()
	fmt.Println(client.Feedback(ctx, "01K2QHBT0F9G2KSY7P3M1DQX8R", []string{"447700900118"}))
	fmt.Println(client.Feedback(ctx, "01K2QHBT0F9G2KSY7P3M1DQX8R", nil))
	// Output:
	// <nil>
	// sinch: send delivery feedback: feedback must name 1 to 1000 recipients, each a number of 1 to 15 digits
}

// A full report names the recipients of each status.
func ExampleClient_GetReport() {
	upstream := respondWith(http.StatusOK, `{
		"type":"delivery_report_sms","batch_id":"01K2QHBT0F9G2KSY7P3M1DQX8R","total_message_count":3,
		"statuses":[{"code":0,"status":"Delivered","count":2,"recipients":["447700900118","12025550143"]},
			{"code":401,"status":"Dispatched","count":1}]}`)
	defer upstream.Close()
	client := newClient(upstream)
	defer client.CloseIdleConnections()

	report, err := client.GetReport(context.Background(), "01K2QHBT0F9G2KSY7P3M1DQX8R", sinch.ReportQuery{
		Kind: sinch.Full,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, entry := range report.Entries {
		fmt.Println(entry.Status, entry.Status.Final(), entry.Count, len(entry.Recipients))
	}
	// Output:
	// Delivered true 2 2
	// Dispatched false 1 0
}

// Reports lists the reports of all batches and hides Sinch's paging.
func ExampleClient_Reports() {
	upstream := respondWith(http.StatusOK, `{"count":1,"page":0,"page_size":1,"delivery_reports":[
		{"type":"recipient_delivery_report_sms","batch_id":"01K2QHBT0F9G2KSY7P3M1DQX8R",
		"recipient":"447700900118","code":0,"status":"Delivered","at":"2025-08-18T10:02:19.531Z"}]}`)
	defer upstream.Close()
	client := newClient(upstream)
	defer client.CloseIdleConnections()

	query := sinch.ReportsQuery{Statuses: []dlr.Status{dlr.Delivered}}
	for report, err := range client.Reports(context.Background(), query) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(report.BatchID, report.At())
	}
	// Output: 01K2QHBT0F9G2KSY7P3M1DQX8R 2025-08-18 10:02:19.531 +0000 UTC
}

// A refusal of Sinch is an Error; decide by its HTTP status.
func ExampleError() {
	upstream := respondWith(http.StatusTooManyRequests, `{"code":"busy","text":"Slow down"}`)
	defer upstream.Close()
	client := newClient(upstream)
	defer client.CloseIdleConnections()

	_, err := client.Cancel(context.Background(), "01K2QHBT0F9G2KSY7P3M1DQX8R")
	if e, ok := errors.AsType[*sinch.Error](err); ok {
		fmt.Println(e.Operation, e.HTTPStatus, e.RetryAfter)
	}
	fmt.Println(err)
	// Output:
	// cancel batch 429 30s
	// sinch: cancel batch: 429 Too Many Requests: busy: Slow down
}
