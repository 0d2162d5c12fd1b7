package simulator_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/simulator"
)

// Test your own receiver of delivery reports: start a simulator in the process of the test, send a batch as your
// application does, and check what the receiver gets and what the simulator has recorded.
func Example() {
	const secret = "webhook-secret"
	lines := make(chan string, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(mac, "%s.%s.%s", body, r.Header.Get("x-sinch-webhook-signature-nonce"),
			r.Header.Get("x-sinch-webhook-signature-timestamp"))
		signed := base64.StdEncoding.EncodeToString(mac.Sum(nil)) == r.Header.Get("x-sinch-webhook-signature")
		var report struct{ Recipient, Status string }
		_ = json.Unmarshal(body, &report)
		lines <- fmt.Sprintf("report: %s is %s, signed: %t", report.Recipient, report.Status, signed)
	}))
	defer receiver.Close()

	sinch, err := simulator.New(simulator.Config{
		Plans: []simulator.Plan{{ID: "my-plan", Token: "my-token", CallbackURL: receiver.URL, Secret: secret}},
		Calm:  true, // without anomalies, so that the example always prints the same
		Pace:  time.Millisecond,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	api := httptest.NewServer(sinch.API())
	defer api.Close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	stopped := make(chan error, 1)
	go func() { stopped <- sinch.Run(ctx) }()

	r, _ := http.NewRequest(http.MethodPost, api.URL+"/xms/v1/my-plan/batches", strings.NewReader(
		`{"from": "12025550100", "to": ["+12025550101"], "body": "hello", "delivery_report": "per_recipient_final"}`))
	r.Header.Set("Authorization", "Bearer my-token")
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = answer.Body.Close()
	fmt.Println("send:", answer.Status)
	fmt.Println(<-lines)
	stop()
	fmt.Println("stopped:", <-stopped)
	c := sinch.Ledger().Callbacks[0]
	fmt.Println("in the ledger:", c.Type, c.Recipients[0], c.Status)

	// Output:
	// send: 201 Created
	// report: 12025550101 is Delivered, signed: true
	// stopped: <nil>
	// in the ledger: recipient_delivery_report_sms 12025550101 Delivered
}
