package application_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/dlrloop/dlrloop/simulator/application"
)

// A test of a destination starts an application, configures its URL, and at the end compares the ledger with what was
// to be delivered. Here a plain HTTP client takes the place of dlrloop.
func Example() {
	app, err := application.New(application.Config{
		Calm:    true, // without faults, so that the example always prints the same
		Observe: func(e application.Event) { fmt.Println("accepted:", e) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(app.Handler())
	defer server.Close()

	deliver := func() {
		r, _ := http.NewRequest(http.MethodPost, server.URL+"/events", strings.NewReader(
			`{"id": "evt_1", "type": "inbound.received", "timestamp": "2026-03-01T10:00:00.123Z", "data":
				{"plan": "p", "inbound_id": "i", "from": "447700900133", "callback": {"type": "mo_text"}}}`))
		r.Header.Set("webhook-id", "evt_1")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = answer.Body.Close()
		fmt.Println(answer.Status)
	}
	deliver()
	deliver()
	_ = app.SetMode(application.Gone, 0)
	deliver()

	l := app.Ledger()
	fmt.Printf("events: %d, repeats: %d, out of order: %d\n", l.Events, l.Repeats, l.OutOfOrder)
	fmt.Println(app.Events()[0].ID)

	// Output:
	// accepted: inbound.received      mo_text             **********33
	// 204 No Content
	// 204 No Content
	// 410 Gone
	// events: 1, repeats: 1, out of order: 0
	// evt_1
}
