package sinch_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/dlrloop/dlrloop/sinch"
)

// Feedback names who received a batch. What Sinch says against it is an Error, told apart by its HTTP status.
func ExampleClient_Feedback() {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer upstream.Close()

	client, err := sinch.New(sinch.Config{Plan: "YOUR_SERVICE_PLAN_ID", BaseURL: upstream.URL, Token: "YOUR_API_TOKEN"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()

	err = client.Feedback(context.Background(), "01K2QHBT0F9G2KSY7P3M1DQX8R", []string{"447700900118"})
	if e, ok := errors.AsType[*sinch.Error](err); ok {
		fmt.Println(e.HTTPStatus, e.RetryAfter)
	}
	fmt.Println(client.Feedback(context.Background(), "01K2QHBT0F9G2KSY7P3M1DQX8R", nil))
	// Output:
	// 429 30s
	// sinch: send delivery feedback: feedback must name between 1 and 1000 recipients
}

// A project's key is exchanged for tokens by the client.
func ExampleNew() {
	_, err := sinch.New(sinch.Config{
		Region:  "br",
		Project: sinch.Project{ID: "YOUR_PROJECT_ID", KeyID: "YOUR_KEY_ID", KeySecret: "YOUR_KEY_SECRET"},
	})
	fmt.Println(err)
	// Output: region "br": use one of eu, us, or give a base_url
}
